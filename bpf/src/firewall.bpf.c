// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Drops packets by their source address at the first place the kernel offers, before a socket buffer exists. The list
 * is a map that the operator, the gateway's plugins and this program share. What is not understood passes: a firewall
 * that cuts off its own operator is worse than none.
 *
 * xdp.frags: packets larger than one buffer are welcome, since only their headers are read, which are in the first.
 */
#include "firewall_helpers.h"

SEC("xdp.frags")
int firewall(struct xdp_md *ctx)
{
	struct prefix source = {};

	if (!source_of(ctx, &source)) {
		count(COUNT_NOT_IP);
		return XDP_PASS;
	}
	if (firewall_config.use_allow_list && find(&firewall_allow, &source) == ENTRY_LIVE) {
		count(COUNT_ALLOWED);
		return XDP_PASS;
	}
	switch (find(&firewall_deny, &source)) {
	case ENTRY_LIVE:
		count(COUNT_DROPPED);
		return XDP_DROP;
	case ENTRY_VOID:
		count(COUNT_EXPIRED);
		return XDP_PASS;
	default:
		count(COUNT_PASSED);
		return XDP_PASS;
	}
}

char _license[] SEC("license") = "Dual BSD/GPL";
