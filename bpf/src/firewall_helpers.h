/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_FIREWALL_HELPERS_H
#define PENSTOCK_FIREWALL_HELPERS_H

#include "firewall_maps.h"
#include "packet.h"

static __always_inline void count(__u32 reason)
{
	__u64 *value = bpf_map_lookup_elem(&firewall_counters, &reason);

	if (value)
		*value += 1; /* per CPU: nobody else writes it */
}

/* Fills in the packet's source. 0: no IP packet, or one too short to tell; those are not ours to judge. */
static __always_inline int source_of(struct xdp_md *ctx, struct prefix *source)
{
	source->bits = 128;
	return packet_source(ctx, &source->ip);
}

#define ENTRY_NONE 0
#define ENTRY_LIVE 1
#define ENTRY_VOID 2

static __always_inline int judge(const __u64 *expiry)
{
	if (!expiry)
		return ENTRY_NONE;
	return *expiry == 0 || bpf_ktime_get_boot_ns() < *expiry ? ENTRY_LIVE : ENTRY_VOID;
}

/*
 * A void entry hides shorter prefixes that still hold. The usual one is a single host inside a denied network, so that
 * case is looked up again without the host entry; any other is set right when the gateway sweeps void entries out.
 */
static __always_inline int find(void *map, struct prefix *source)
{
	int verdict = judge(bpf_map_lookup_elem(map, source));

	if (verdict == ENTRY_VOID) {
		source->bits = 127;
		if (judge(bpf_map_lookup_elem(map, source)) == ENTRY_LIVE)
			verdict = ENTRY_LIVE;
		source->bits = 128;
	}
	return verdict;
}

#endif
