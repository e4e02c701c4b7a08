/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* The counter before the stack: one frame is one packet. */
#ifndef PENSTOCK_COUNTER_FRAME_H
#define PENSTOCK_COUNTER_FRAME_H

#include "counter_helpers.h"
#include "packet.h"

static __always_inline void count_frame(struct xdp_md *ctx)
{
	struct ip_address key = {};
	struct transport transport = {};
	__u64 bytes = bpf_xdp_get_buff_len(ctx);
	__be16 port;

	if (!packet_source(ctx, &key)) {
		count_other(OTHER_NOT_IP, 1, bytes);
		return;
	}
	if (counter_config.by == COUNT_BY_SOURCE) {
		mask_source(&key);
	} else {
		if (!packet_transport(ctx, &transport) || !has_ports(transport.protocol) ||
		    bpf_xdp_load_bytes(ctx, transport.offset + sizeof(port), &port, sizeof(port))) {
			count_other(OTHER_NO_PORT, 1, bytes);
			return;
		}
		key_of_port(&key, transport.protocol, port);
	}
	count_entry(&key, 1, bytes);
}

#endif
