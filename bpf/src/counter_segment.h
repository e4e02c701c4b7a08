/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * The counter where the stack begins: a socket buffer may hold several segments that were put together (GRO), and its tag
 * is beside it. Read relative to the network header, since devices without a link header come here too.
 */
#ifndef PENSTOCK_COUNTER_SEGMENT_H
#define PENSTOCK_COUNTER_SEGMENT_H

#include "counter_helpers.h"
#include "packet.h"

static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, bytes, BPF_HDR_START_NET) == 0;
}

/* Fills in the source and where the transport header is, from the network header on. 0: no IP. */
static __always_inline int read_segment(struct __sk_buff *skb, struct ip_address *source, struct transport *transport)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (!load(skb, 0, &ip, sizeof(ip)))
			return 0;
		address_from_v4(source, ip.saddr);
		transport->protocol = ip.frag_off & IPV4_FRAGMENT_OFFSET ? 0 : ip.protocol;
		transport->offset = ip.ihl * 4;
		return 1;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (!load(skb, 0, &ip, sizeof(ip)))
			return 0;
		__builtin_memcpy(source, &ip.saddr, sizeof(*source));
		transport->protocol = ip.nexthdr;
		transport->offset = sizeof(ip);
		return 1;
	}
	return 0;
}

static __always_inline void count_segments(struct __sk_buff *skb)
{
	struct ip_address key = {};
	struct transport transport = {};
	__u64 packets = skb->gso_segs ? skb->gso_segs : 1;
	__u64 bytes = skb->len;
	__be16 port;

	if (!read_segment(skb, &key, &transport)) {
		count_other(OTHER_NOT_IP, packets, bytes);
		return;
	}
	if (counter_config.by == COUNT_BY_SOURCE) {
		mask_source(&key);
	} else {
		if (!has_ports(transport.protocol) || !load(skb, transport.offset + sizeof(port), &port, sizeof(port))) {
			count_other(OTHER_NO_PORT, packets, bytes);
			return;
		}
		key_of_port(&key, transport.protocol, port);
	}
	count_entry(&key, packets, bytes);
}

#endif
