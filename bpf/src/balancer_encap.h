/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * Direct server return: the packet as it is, behind a header that takes it to the endpoint, which takes that off again,
 * finds the service's address on itself and answers the client directly. RFC 2003 (IP in IP), RFC 2473 (IPv6); any
 * family in any.
 */
#ifndef PENSTOCK_BALANCER_ENCAP_H
#define PENSTOCK_BALANCER_ENCAP_H

#include "balancer_checksum.h"
#include "balancer_flow.h"
#include "balancer_next_hop.h"

static __always_inline __u16 outer_bytes(const struct endpoint *endpoint)
{
	return address_is_v4(&endpoint->address) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* The last word of the outer source: the flow's hash in the bits that are left to it. */
static __always_inline __be32 outer_source(const struct owner *owner)
{
	return owner->endpoint->source.word[3] | (bpf_htonl(spread_hash(owner->hash)) & owner->endpoint->source_mask);
}

static __always_inline void put_outer_v4(struct iphdr *ip, const struct packet *packet, const struct owner *owner)
{
	__u32 sum = 0;
	int i;

	ip->version = 4;
	ip->ihl = 5;
	ip->tos = packet->tos;
	ip->tot_len = bpf_htons(packet->bytes + sizeof(*ip));
	ip->id = 0;
	/* So that nobody takes it apart: with an identification of 0, pieces of two packets could be put together as one. */
	ip->frag_off = bpf_htons(IP_DF);
	ip->ttl = OUTER_TTL;
	ip->protocol = packet->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	ip->check = 0;
	ip->saddr = outer_source(owner);
	ip->daddr = owner->endpoint->address.word[3];
#pragma unroll
	for (i = 0; i < (int)sizeof(*ip) / 2; i++)
		sum += ((__u16 *)ip)[i];
	ip->check = ~fold(sum);
}

static __always_inline void put_outer_v6(struct ipv6hdr *ip, const struct packet *packet, const struct owner *owner)
{
	ip->version = 6;
	ip->priority = packet->tos >> 4;
	/* The flow label spreads flows over paths, as the source does for IPv4 (RFC 6438). */
	ip->flow_lbl[0] = packet->tos << 4 | (spread_hash(owner->hash) >> 16 & 0xf);
	ip->flow_lbl[1] = spread_hash(owner->hash) >> 8;
	ip->flow_lbl[2] = spread_hash(owner->hash);
	ip->payload_len = bpf_htons(packet->bytes);
	ip->nexthdr = packet->v6 ? IPPROTO_IPV6 : IPPROTO_IPIP;
	ip->hop_limit = OUTER_TTL;
	__builtin_memcpy(&ip->saddr, &owner->endpoint->source, sizeof(ip->saddr));
	ip->saddr.in6_u.u6_addr32[3] = outer_source(owner);
	__builtin_memcpy(&ip->daddr, &owner->endpoint->address, sizeof(ip->daddr));
}

/* The hop limit has been seen to, and the packet fits. */
static __always_inline int encapsulate(struct xdp_md *ctx, const struct packet *packet, const struct owner *owner,
				       const struct next_hop *hop, __u32 service)
{
	void *ip;

	if (address_is_v4(&owner->endpoint->address)) {
		if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr)))
			return drop_for(service, REASON_MANGLED);
		ip = (void *)(long)ctx->data + ETH_HLEN;
		if (ip + sizeof(struct iphdr) > (void *)(long)ctx->data_end)
			return drop_for(service, REASON_MANGLED);
		put_outer_v4(ip, packet, owner);
		return send_to(ctx, hop, bpf_htons(ETH_P_IP));
	}
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct ipv6hdr)))
		return drop_for(service, REASON_MANGLED);
	ip = (void *)(long)ctx->data + ETH_HLEN;
	if (ip + sizeof(struct ipv6hdr) > (void *)(long)ctx->data_end)
		return drop_for(service, REASON_MANGLED);
	put_outer_v6(ip, packet, owner);
	return send_to(ctx, hop, bpf_htons(ETH_P_IPV6));
}

#endif
