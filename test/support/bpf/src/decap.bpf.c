// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* An endpoint of direct server return where the kernel has no tunnel devices: takes the outer header off. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

SEC("xdp.frags")
int decap(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct ethhdr old;
	int bytes = 0;
	__u8 next = 0;

	if ((void *)(eth + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->ihl != 5)
			return XDP_PASS;
		next = ip->protocol;
		bytes = sizeof(*ip);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end)
			return XDP_PASS;
		next = ip->nexthdr;
		bytes = sizeof(*ip);
	}
	if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
		return XDP_PASS;
	old = *eth;
	if (bpf_xdp_adjust_head(ctx, bytes))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = old;
	eth->h_proto = next == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
