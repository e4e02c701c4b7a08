// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Counts packets and bytes by the network they come from, and lets all of them pass. Each CPU has counters of its own,
 * so adding is two plain additions, and none is lost: XDP runs with softirqs disabled, and nobody else writes there.
 */
#include "counter_helpers.h"

SEC("xdp.frags")
int counter(struct xdp_md *ctx)
{
	struct ip_address network = {};
	__u64 bytes = bpf_xdp_get_buff_len(ctx);

	if (network_of(ctx, &network))
		count_source(&network, bytes);
	else
		count_other(OTHER_NOT_IP, bytes);
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
