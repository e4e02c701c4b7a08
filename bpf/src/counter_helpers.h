/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_COUNTER_HELPERS_H
#define PENSTOCK_COUNTER_HELPERS_H

#include "counter_maps.h"
#include "packet.h"

static __always_inline void add(struct traffic *traffic, __u64 bytes)
{
	traffic->packets += 1;
	traffic->bytes += bytes;
}

static __always_inline void count_other(__u32 what, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&counter_other, &what);

	if (traffic)
		add(traffic, bytes);
}

/*
 * A new source is entered only if it still is one (BPF_NOEXIST): another CPU may have entered it since the first look,
 * and an update that replaced its entry would take that CPU's count with it.
 */
static __always_inline void count_source(const struct ip_address *network, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&counter_sources, network);
	struct traffic first = { .packets = 1, .bytes = bytes };

	if (!traffic) {
		if (!bpf_map_update_elem(&counter_sources, network, &first, BPF_NOEXIST))
			return;
		traffic = bpf_map_lookup_elem(&counter_sources, network);
	}
	if (traffic)
		add(traffic, bytes);
	else
		count_other(OTHER_NO_ROOM, bytes);
}

/* The packet's source with the bits that do not count taken away; 0 where there is none. */
static __always_inline int network_of(struct xdp_md *ctx, struct ip_address *network)
{
	int i;

	if (!packet_source(ctx, network))
		return 0;
	if (address_is_v4(network)) {
		network->word[3] &= counter_config.mask_v4;
		return 1;
	}
#pragma unroll
	for (i = 0; i < 4; i++)
		network->word[i] &= counter_config.mask_v6.word[i];
	return 1;
}

#endif
