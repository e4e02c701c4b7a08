// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Judges packets by their source at the first place the kernel offers, before a socket buffer exists:
 *
 *     allow list -> deny list -> limits -> SYN cookies
 *
 * The lists are maps that the operator, the gateway's plugins and this program share. What is not understood passes: a
 * firewall that cuts off its own operator is worse than none. What passes goes on to the next program of the device.
 *
 * xdp.frags: packets larger than one buffer are welcome, since only their headers are read, which are in the first.
 */
#include "chain.h"
#include "firewall_cookies.h"
#include "firewall_helpers.h"
#include "firewall_limits.h"

SEC("xdp.frags")
int firewall(struct xdp_md *ctx)
{
	struct prefix source = {};
	__u32 reason = COUNT_PASSED;
	int verdict;

	if (!source_of(ctx, &source)) {
		count(COUNT_NOT_IP);
		return chain_pass(ctx, CHAIN_FIREWALL);
	}
	if (firewall_config.use_allow_list && find(&firewall_allow, &source) == ENTRY_LIVE) {
		count(COUNT_ALLOWED);
		return chain_pass(ctx, CHAIN_FIREWALL);
	}
	switch (find(&firewall_deny, &source)) {
	case ENTRY_LIVE:
		count(COUNT_DENIED);
		return XDP_DROP;
	case ENTRY_VOID:
		reason = COUNT_EXPIRED;
		break;
	default:
		break;
	}
	if (firewall_config.use_limits && over_limit(&source)) {
		count(COUNT_LIMITED);
		return XDP_DROP;
	}
	if (firewall_config.syns_per_second) {
		verdict = guard_listeners(ctx, &reason);
		if (verdict != VERDICT_PASS) {
			count(reason);
			return verdict;
		}
	}
	count(reason);
	return chain_pass(ctx, CHAIN_FIREWALL);
}

char _license[] SEC("license") = "Dual BSD/GPL";
