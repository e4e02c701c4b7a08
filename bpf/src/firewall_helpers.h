/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_FIREWALL_HELPERS_H
#define PENSTOCK_FIREWALL_HELPERS_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "firewall_maps.h"

struct vlan_tag {
	__be16 tci;
	__be16 next_protocol;
};

static __always_inline void count(__u32 reason)
{
	__u64 *value = bpf_map_lookup_elem(&firewall_counters, &reason);

	if (value)
		*value += 1; /* per CPU: nobody else writes it */
}

/* Fills in the packet's source. 0: no IP packet, or one too short to tell; those are not ours to judge. */
static __always_inline int source_of(struct xdp_md *ctx, struct prefix *source)
{
	void *at = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = at;
	__be16 protocol;
	int tag;

	if ((void *)(eth + 1) > end)
		return 0;
	protocol = eth->h_proto;
	at = eth + 1;
#pragma unroll
	for (tag = 0; tag < VLAN_TAGS_MAX; tag++) {
		struct vlan_tag *vlan = at;

		if (protocol != bpf_htons(ETH_P_8021Q) && protocol != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > end)
			return 0;
		protocol = vlan->next_protocol;
		at = vlan + 1;
	}
	source->bits = 128;
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end)
			return 0;
		address_from_v4(&source->ip, ip->saddr);
		return 1;
	}
	if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return 0;
		__builtin_memcpy(&source->ip, &ip->saddr, sizeof(source->ip));
		return 1;
	}
	return 0;
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
