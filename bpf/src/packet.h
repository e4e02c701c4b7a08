/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* From a frame to the addresses in it, for XDP programs. Reads headers only, which are in the first buffer. */
#ifndef PENSTOCK_PACKET_H
#define PENSTOCK_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "common.h"

/* 802.1Q inside 802.1ad: more tags than two are not seen on real links, and such frames are not understood. */
#define VLAN_TAGS_MAX 2

struct vlan_tag {
	__be16 tci;
	__be16 next_protocol;
};

/* Fills in the packet's source. 0: no IP packet, or one too short to tell; `source` is then as it was. */
static __always_inline int packet_source(struct xdp_md *ctx, struct ip_address *source)
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
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = at;

		if ((void *)(ip + 1) > end)
			return 0;
		address_from_v4(source, ip->saddr);
		return 1;
	}
	if (protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = at;

		if ((void *)(ip + 1) > end)
			return 0;
		__builtin_memcpy(source, &ip->saddr, sizeof(*source));
		return 1;
	}
	return 0;
}

#endif
