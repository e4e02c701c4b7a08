/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Internet checksums, mended by what has changed (RFC 1624) and not taken anew: a wrong one stays wrong and is seen. */
#ifndef PENSTOCK_BALANCER_CHECKSUM_H
#define PENSTOCK_BALANCER_CHECKSUM_H

#include "balancer_packet.h"

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* `difference` as bpf_csum_diff gives it. */
static __always_inline void mend(__sum16 *check, __u32 difference)
{
	*check = ~fold((__u64)(__u16)~*check + difference);
}

/* UDP: 0 means that there is none, and a sum that comes out as 0 is sent as its complement (RFC 768). */
static __always_inline void mend_udp(__sum16 *check, __u32 difference)
{
	if (!*check)
		return;
	mend(check, difference);
	if (!*check)
		*check = 0xffff;
}

/* Mapped IPv4 addresses differ in their last word only, so this is right for both families. */
static __always_inline __u32 ends_difference(struct ends *from, struct ends *to)
{
	return bpf_csum_diff((__be32 *)from, sizeof(*from), (__be32 *)to, sizeof(*to), 0);
}

static __always_inline __u32 addresses_difference(struct ends *from, struct ends *to)
{
	return bpf_csum_diff((__be32 *)from, 2 * sizeof(struct ip_address), (__be32 *)to,
			     2 * sizeof(struct ip_address), 0);
}

static __always_inline __u32 word_difference(__u16 from, __u16 to)
{
	return (__u32)(__u16)~from + to;
}

/* One hop less, as every router does (RFC 1812 section 5.3.1). 0: there is none left. */
static __always_inline int take_hop(struct xdp_md *ctx, const struct packet *packet)
{
	void *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = (void *)(long)ctx->data + ETH_HLEN;

	if (packet->ttl <= 1)
		return 0;
	if (packet->v6) {
		struct ipv6hdr *ip6 = (void *)ip;

		if ((void *)(ip6 + 1) > end)
			return 0;
		ip6->hop_limit--;
		return 1;
	}
	if ((void *)(ip + 1) > end)
		return 0;
	mend(&ip->check, word_difference(bpf_htons(packet->ttl << 8), bpf_htons((packet->ttl - 1) << 8)));
	ip->ttl--;
	return 1;
}

#endif
