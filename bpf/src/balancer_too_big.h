/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * A packet that does not fit once it is encapsulated, or does not fit the endpoint's link: the sender is told what does
 * (RFC 1191, RFC 8201). In the service's name: a client hears nothing of what is behind it.
 */
#ifndef PENSTOCK_BALANCER_TOO_BIG_H
#define PENSTOCK_BALANCER_TOO_BIG_H

#include "balancer_checksum.h"
#include "balancer_count.h"

/* Leaves `quote` bytes of the packet, and room for what goes in front of them. 0: impossible. */
static __always_inline int make_room(struct xdp_md *ctx, int quote, int headers)
{
	int surplus = ETH_HLEN + quote - (int)bpf_xdp_get_buff_len(ctx);

	if (surplus > 0 || bpf_xdp_adjust_tail(ctx, surplus))
		return 0;
	return !bpf_xdp_adjust_head(ctx, -headers);
}

/* Back to where the frame came from; its old head is in the quote's place no longer, so it is given. */
static __always_inline void turn_round(struct ethhdr *eth, const struct ethhdr *old)
{
	__builtin_memcpy(eth->h_dest, old->h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
	eth->h_proto = old->h_proto;
}

struct too_big_v4 {
	struct iphdr ip;
	struct icmp icmp;
};

static __always_inline int answer_v4(struct xdp_md *ctx, const struct packet *packet, const struct ethhdr *old, __u16 mtu)
{
	struct too_big_v4 *answer;
	void *data;
	__u32 sum = 0;
	int i;

	if (!make_room(ctx, QUOTE_V4_BYTES, sizeof(*answer)))
		return 0;
	data = (void *)(long)ctx->data;
	answer = data + ETH_HLEN;
	if ((void *)(answer + 1) + QUOTE_V4_BYTES > (void *)(long)ctx->data_end)
		return 0;
	turn_round(data, old);
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->ip.version = 4;
	answer->ip.ihl = 5;
	answer->ip.ttl = OUTER_TTL;
	answer->ip.protocol = IPPROTO_ICMP;
	answer->ip.tot_len = bpf_htons(sizeof(*answer) + QUOTE_V4_BYTES);
	answer->ip.saddr = packet->ends.destination.word[3];
	answer->ip.daddr = packet->ends.source.word[3];
#pragma unroll
	for (i = 0; i < (int)sizeof(answer->ip) / 2; i++)
		sum += ((__u16 *)&answer->ip)[i];
	answer->ip.check = ~fold(sum);
	answer->icmp.type = ICMP_UNREACHABLE;
	answer->icmp.code = ICMP_FRAGMENTATION_NEEDED;
	answer->icmp.rest = bpf_htonl(mtu);
	answer->icmp.check =
		~fold((__u32)bpf_csum_diff(0, 0, (__be32 *)&answer->icmp, sizeof(answer->icmp) + QUOTE_V4_BYTES, 0));
	return 1;
}

struct too_big_v6 {
	struct ipv6hdr ip;
	struct icmp icmp;
};

static __always_inline int answer_v6(struct xdp_md *ctx, const struct packet *packet, const struct ethhdr *old, __u16 mtu)
{
	struct too_big_v6 *answer;
	void *data;
	__u32 sum;

	if (!make_room(ctx, QUOTE_V6_BYTES, sizeof(*answer)))
		return 0;
	data = (void *)(long)ctx->data;
	answer = data + ETH_HLEN;
	if ((void *)(answer + 1) + QUOTE_V6_BYTES > (void *)(long)ctx->data_end)
		return 0;
	turn_round(data, old);
	__builtin_memset(answer, 0, sizeof(*answer));
	answer->ip.version = 6;
	answer->ip.hop_limit = OUTER_TTL;
	answer->ip.nexthdr = IPPROTO_ICMPV6;
	answer->ip.payload_len = bpf_htons(sizeof(answer->icmp) + QUOTE_V6_BYTES);
	__builtin_memcpy(&answer->ip.saddr, &packet->ends.destination, sizeof(answer->ip.saddr));
	__builtin_memcpy(&answer->ip.daddr, &packet->ends.source, sizeof(answer->ip.daddr));
	answer->icmp.type = ICMPV6_TOO_BIG;
	answer->icmp.rest = bpf_htonl(mtu);
	/* RFC 8200 section 8.1: with the addresses, the length and the protocol. */
	sum = bpf_csum_diff(0, 0, (__be32 *)&answer->icmp, sizeof(answer->icmp) + QUOTE_V6_BYTES, 0);
	sum = bpf_csum_diff(0, 0, (__be32 *)&answer->ip.saddr, 2 * sizeof(answer->ip.saddr), sum);
	answer->icmp.check = ~fold((__u64)sum + answer->ip.payload_len + bpf_htons(IPPROTO_ICMPV6));
	return 1;
}

/*
 * `room`: what fits. Not for packets that may be taken apart on their way: fragments have no ports, so the balancer
 * could not send on what the sender would make of the advice. No error is answered with an error.
 */
static __noinline int too_big(struct xdp_md *ctx, const struct packet *packet, __u32 service, __u32 room)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ethhdr old;
	int answered;

	if (!packet->dont_fragment || packet->protocol == IPPROTO_ICMP || packet->protocol == IPPROTO_ICMPV6)
		return drop_for(service, REASON_TOO_BIG_DROPPED);
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	old = *eth;
	answered = packet->v6 ? answer_v6(ctx, packet, &old, room < IPV6_MTU_MIN ? IPV6_MTU_MIN : room) :
				answer_v4(ctx, packet, &old, room);
	if (!answered)
		return drop_for(service, REASON_TOO_BIG_DROPPED);
	count_reason(service, REASON_TOO_BIG);
	return XDP_TX;
}

#endif
