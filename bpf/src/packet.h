/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* From a frame to the addresses and ports in it, for XDP programs. Reads headers only, which are in the first buffer. */
#ifndef PENSTOCK_PACKET_H
#define PENSTOCK_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "common.h"

/* 802.1Q inside 802.1ad: more tags than two are not seen on real links, and such frames are not understood. */
#define VLAN_TAGS_MAX 2
/* Of the IPv6 headers between the first and the transport's; longer chains are seen in attacks only. */
#define EXTENSIONS_MAX 4

#define IPV4_FRAGMENT_OFFSET bpf_htons(0x1fff)
#define IPV4_FRAGMENT bpf_htons(0x3fff) /* the offset, or "more fragments" */
#define IPV6_FRAGMENT_OFFSET bpf_htons(0xfff8)

struct vlan_tag {
	__be16 tci;
	__be16 next_protocol;
};

/* RFC 8200, 4.3, 4.4 and 4.6: next header, and the length in 8 bytes beyond the first 8. The fragment header has none. */
struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment;
	__be32 identification;
};

/* Behind the Ethernet header and its tags, and what is there. 0: the frame is too short. */
static __always_inline void *packet_network(struct xdp_md *ctx, __be16 *protocol)
{
	void *at = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = at;
	int tag;

	if ((void *)(eth + 1) > end)
		return 0;
	*protocol = eth->h_proto;
	at = eth + 1;
#pragma unroll
	for (tag = 0; tag < VLAN_TAGS_MAX; tag++) {
		struct vlan_tag *vlan = at;

		if (*protocol != bpf_htons(ETH_P_8021Q) && *protocol != bpf_htons(ETH_P_8021AD))
			break;
		if ((void *)(vlan + 1) > end)
			return 0;
		*protocol = vlan->next_protocol;
		at = vlan + 1;
	}
	return at;
}

/* Fills in the packet's source. 0: no IP packet, or one too short to tell; `source` is then as it was. */
static __always_inline int packet_source(struct xdp_md *ctx, struct ip_address *source)
{
	void *end = (void *)(long)ctx->data_end;
	__be16 protocol = 0;
	void *at = packet_network(ctx, &protocol);

	if (!at)
		return 0;
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

/* Where the transport header is, of which protocol. */
struct transport {
	/* From the frame's first byte. */
	__u16 offset;
	__u8 protocol;
	/* Something stands between the fixed IP header and this one: options, extension headers, fragmentation. */
	__u8 indirect;
};

static __always_inline int transport_v4(struct iphdr *ip, void *end, __u16 offset, struct transport *transport)
{
	__u16 length;

	if ((void *)(ip + 1) > end)
		return 0;
	length = ip->ihl * 4;
	if (length < sizeof(*ip) || (ip->frag_off & IPV4_FRAGMENT_OFFSET))
		return 0;
	transport->protocol = ip->protocol;
	transport->offset = offset + length;
	transport->indirect = length != sizeof(*ip) || (ip->frag_off & IPV4_FRAGMENT);
	return 1;
}

static __always_inline int transport_v6(struct xdp_md *ctx, struct ipv6hdr *ip, void *end, __u16 offset,
					struct transport *transport)
{
	int i;

	if ((void *)(ip + 1) > end)
		return 0;
	transport->protocol = ip->nexthdr;
	transport->offset = offset + sizeof(*ip);
	transport->indirect = 0;
#pragma unroll
	for (i = 0; i < EXTENSIONS_MAX; i++) {
		struct ipv6_extension extension;
		int fragment = transport->protocol == IPPROTO_FRAGMENT;

		if (!fragment && transport->protocol != IPPROTO_HOPOPTS && transport->protocol != IPPROTO_ROUTING &&
		    transport->protocol != IPPROTO_DSTOPTS)
			break;
		/* Copied, since a pointer at an offset that depends on lengths before it is beyond the verifier. */
		if (bpf_xdp_load_bytes(ctx, transport->offset, &extension, sizeof(extension)))
			return 0;
		if (fragment && (extension.fragment & IPV6_FRAGMENT_OFFSET))
			return 0;
		transport->protocol = extension.next;
		transport->offset += fragment ? sizeof(extension) : (extension.length + 1) * 8;
		transport->indirect = 1;
	}
	return 1;
}

/* 0: no IP packet, cut short, or a fragment other than the first, which has no transport header. */
static __always_inline int packet_transport(struct xdp_md *ctx, struct transport *transport)
{
	void *end = (void *)(long)ctx->data_end;
	__be16 protocol = 0;
	void *at = packet_network(ctx, &protocol);
	__u16 offset;

	if (!at)
		return 0;
	offset = at - (void *)(long)ctx->data;
	if (protocol == bpf_htons(ETH_P_IP))
		return transport_v4(at, end, offset, transport);
	if (protocol == bpf_htons(ETH_P_IPV6))
		return transport_v6(ctx, at, end, offset, transport);
	return 0;
}

#endif
