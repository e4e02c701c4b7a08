// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * Gives connections to a port, as they come in over a device, to a listener of the gateway, whatever address and port
 * they asked for. The packet is not touched: it is handed the listening socket before the stack looks for one, so there
 * is no checksum to mend, no state to keep, and nothing to put back on the way out. The accepted socket's own address is
 * the one the client asked for.
 *
 * Everything is left as it was when the lease has lapsed or the listener is gone: then the stack finds whoever listens
 * on the port that was asked for.
 */
#include "interceptor_helpers.h"

SEC("tcx/ingress")
int interceptor(struct __sk_buff *skb)
{
	struct segment segment = {};

	/* Tagged frames come by once more, on the VLAN's own device. */
	if (skb->pkt_type != PACKET_FOR_US || skb->vlan_present)
		return NEXT_PROGRAM;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_v4(skb, &segment))
			return NEXT_PROGRAM;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!read_v6(skb, &segment))
			return NEXT_PROGRAM;
	} else {
		return NEXT_PROGRAM;
	}
	if (!port_is_diverted(port_of(&segment)) || is_known(skb, &segment))
		return NEXT_PROGRAM;
	if (!lease_is_alive()) {
		count(COUNT_LEASE_EXPIRED);
		return NEXT_PROGRAM;
	}
	if (!is_for_us(skb, &segment)) {
		count(COUNT_ROUTED);
		return NEXT_PROGRAM;
	}
	divert(skb, &segment);
	return NEXT_PROGRAM;
}

char _license[] SEC("license") = "Dual BSD/GPL";
