// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * The balancer over one packet again and again: a test run with repetitions hands a program what it left of the packet the
 * time before, so this takes off again what the balancer put in front. That is in the figures, and makes them a little worse.
 */
#include "balancer.bpf.c"

/* Of the client's address, counted up with each packet: a flow that is not known yet. */
__u32 rounds_client = 0;

static __always_inline int undo(struct xdp_md *ctx, int bytes, __u32 client)
{
	struct ethhdr *eth;
	struct iphdr *ip;

	if (bpf_xdp_adjust_head(ctx, bytes))
		return 0;
	eth = (void *)(long)ctx->data;
	ip = (void *)(eth + 1);
	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return 0;
	if (ip->version == 4) {
		eth->h_proto = bpf_htons(ETH_P_IP);
		ip->ttl = 64;
		if (client)
			ip->saddr = client;
	} else {
		struct ipv6hdr *ip6 = (void *)ip;

		if ((void *)(ip6 + 1) > (void *)(long)ctx->data_end)
			return 0;
		eth->h_proto = bpf_htons(ETH_P_IPV6);
		ip6->hop_limit = 64;
		if (client)
			ip6->saddr.in6_u.u6_addr32[3] = client;
	}
	return 1;
}

static __always_inline int once(struct xdp_md *ctx, __u32 client)
{
	struct ethhdr *eth = (void *)(long)ctx->data;
	int verdict;
	int bytes;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	/* Outer and inner are of one family here. */
	bytes = eth->h_proto == bpf_htons(ETH_P_IP) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
	verdict = send_on(ctx);
	if (verdict != XDP_REDIRECT && verdict != XDP_TX)
		return XDP_ABORTED;
	return undo(ctx, bytes, client) ? verdict : XDP_ABORTED;
}

SEC("xdp.frags")
int known_flow(struct xdp_md *ctx)
{
	return once(ctx, 0);
}

SEC("xdp.frags")
int new_flow(struct xdp_md *ctx)
{
	return once(ctx, ++rounds_client);
}
