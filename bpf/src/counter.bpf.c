// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Counts packets and bytes by the network they come from, or the port they are for, and lets all of them pass. Each CPU
 * has counters of its own, so adding is two plain additions, and none is lost: both hooks run with softirqs disabled, and
 * nobody else writes there.
 */
#include "chain.h"
#include "counter_frame.h"
#include "counter_segment.h"

SEC("xdp.frags")
int counter(struct xdp_md *ctx)
{
	count_frame(ctx);
	return chain_pass(ctx, CHAIN_COUNTER);
}

/* TCX_NEXT; as a clsact filter's answer, the same number asks the filters behind it. */
SEC("tcx/ingress")
int counter_tcx(struct __sk_buff *skb)
{
	count_segments(skb);
	return -1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
