/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * From a frame to what the balancer wants to know of it. What is not understood is none of its business and passes:
 * VLAN tags (a VLAN device has its own hook), IPv6 extension headers other than a fragment's, later fragments, which
 * have no ports: the first one was counted and dropped, so that they can't be put together again.
 */
#ifndef PENSTOCK_BALANCER_PACKET_H
#define PENSTOCK_BALANCER_PACKET_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "balancer_structs.h"

/* Of both versions of ICMP. linux/icmp.h can't be included without the C library. */
struct icmp {
	__u8 type;
	__u8 code;
	__sum16 check;
	/* Too big: the MTU; IPv4 has it in the lower half (RFC 1191). */
	__be32 rest;
};

#define KIND_OTHER 0
/* TCP or UDP, with ports. */
#define KIND_TRANSPORT 1
/* An ICMP error that quotes a packet. */
#define KIND_ERROR 2

/* Both ends as they stand in a packet; without gaps, so that a checksum can be taken over it. IPv4 is mapped. */
struct ends {
	struct ip_address source;
	struct ip_address destination;
	__be16 source_port;
	__be16 destination_port;
};

struct packet {
	struct ends ends;
	/* From the IP header on. */
	__u16 bytes;
	/* Of the header behind the IP header, from the start of the frame. */
	__u16 transport;
	__u8 protocol;
	__u8 v6;
	__u8 fragment;
	/* The first packet of a TCP connection. */
	__u8 opens;
	__u8 ttl;
	/* Traffic class. */
	__u8 tos;
	__u8 dont_fragment;
};

/* Header lengths come from the packet; with this the verifier knows that they stay below 128: 14 + 60 at most. */
#define TRANSPORT_MASK 0x7f

struct ports {
	__be16 source;
	__be16 destination;
};

static __always_inline void *transport_of(struct xdp_md *ctx, const struct packet *packet)
{
	return (void *)(long)ctx->data + (packet->transport & TRANSPORT_MASK);
}

static __always_inline int read_transport(struct xdp_md *ctx, struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	void *at = transport_of(ctx, packet);

	if (packet->protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = at;

		if ((void *)(tcp + 1) > end)
			return KIND_OTHER;
		packet->opens = tcp->syn && !tcp->ack;
	} else if (packet->protocol == IPPROTO_UDP) {
		if (at + sizeof(struct udphdr) > end)
			return KIND_OTHER;
	} else {
		return KIND_OTHER;
	}
	packet->ends.source_port = ((struct ports *)at)->source;
	packet->ends.destination_port = ((struct ports *)at)->destination;
	return KIND_TRANSPORT;
}

static __always_inline int read_v4(struct xdp_md *ctx, struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl < 5)
		return KIND_OTHER;
	if (ip->frag_off & bpf_htons(IP_OFFSET))
		return KIND_OTHER;
	packet->fragment = !!(ip->frag_off & bpf_htons(IP_MF));
	packet->dont_fragment = !!(ip->frag_off & bpf_htons(IP_DF));
	packet->bytes = bpf_ntohs(ip->tot_len);
	packet->transport = ETH_HLEN + ip->ihl * 4;
	packet->protocol = ip->protocol;
	packet->ttl = ip->ttl;
	packet->tos = ip->tos;
	address_from_v4(&packet->ends.source, ip->saddr);
	address_from_v4(&packet->ends.destination, ip->daddr);
	if (ip->protocol == IPPROTO_ICMP) {
		struct icmp *icmp = transport_of(ctx, packet);

		if ((void *)(icmp + 1) > end)
			return KIND_OTHER;
		return icmp->type == ICMP_UNREACHABLE || icmp->type == ICMP_TIME_EXCEEDED || icmp->type == ICMP_PARAMETER ?
			       KIND_ERROR :
			       KIND_OTHER;
	}
	return read_transport(ctx, packet);
}

/* RFC 8200 section 4.5; there is no such struct in uapi. */
struct fragment_header {
	__u8 next;
	__u8 zero;
	__be16 offset;
	__be32 id;
};

static __always_inline int read_v6(struct xdp_md *ctx, struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return KIND_OTHER;
	packet->v6 = 1;
	packet->dont_fragment = 1;
	packet->bytes = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->transport = ETH_HLEN + sizeof(*ip);
	packet->protocol = ip->nexthdr;
	packet->ttl = ip->hop_limit;
	packet->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	__builtin_memcpy(&packet->ends.source, &ip->saddr, sizeof(packet->ends.source));
	__builtin_memcpy(&packet->ends.destination, &ip->daddr, sizeof(packet->ends.destination));
	if (ip->nexthdr == IPPROTO_ICMPV6) {
		struct icmp *icmp = (void *)(ip + 1);

		if ((void *)(icmp + 1) > end)
			return KIND_OTHER;
		return icmp->type < ICMPV6_FIRST_QUERY ? KIND_ERROR : KIND_OTHER;
	}
	if (ip->nexthdr == IPV6_NEXT_FRAGMENT) {
		struct fragment_header *fragment = (void *)(ip + 1);

		if ((void *)(fragment + 1) > end || fragment->offset & bpf_htons(0xfff8))
			return KIND_OTHER;
		packet->fragment = 1;
		packet->protocol = fragment->next;
		packet->transport += sizeof(*fragment);
	}
	return read_transport(ctx, packet);
}

/* KIND_*; `packet` must be all zeros. */
static __always_inline int read_packet(struct xdp_md *ctx, struct packet *packet)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return KIND_OTHER;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return read_v4(ctx, packet);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return read_v6(ctx, packet);
	return KIND_OTHER;
}

#endif
