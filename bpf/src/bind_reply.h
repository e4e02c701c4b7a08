/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * Answers of UDP listeners that were sent to elsewhere: their source becomes what the client sent to. TCP needs none of
 * it, since an accepted socket has the client's view of its own address.
 */
#ifndef PENSTOCK_BIND_REPLY_H
#define PENSTOCK_BIND_REPLY_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include "bind_helpers.h"

/* Offsets from the frame's start, as stores take them. */
struct reply {
	struct bind_client client;
	struct ip_address source;
	__u32 network;
	__u32 transport;
	/* The rest of it has no UDP header, and would keep its address. */
	__u8 fragment;
	__u8 v4;
};

/* Relative to the network header, wherever that is. */
static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, bytes, BPF_HDR_START_NET) == 0;
}

static __always_inline int read_ports(struct __sk_buff *skb, __u32 offset, struct reply *reply)
{
	__be16 ports[2];

	if (!load(skb, offset, ports, sizeof(ports)))
		return 0;
	reply->client.listener_port = ports[0];
	reply->client.port = ports[1];
	reply->transport = reply->network + offset;
	return 1;
}

/* 0: no UDP header here. */
static __always_inline int read_reply(struct __sk_buff *skb, struct reply *reply)
{
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (!load(skb, 0, &ip, sizeof(ip)) || ip.protocol != IPPROTO_UDP || (ip.frag_off & IPV4_OFFSET))
			return 0;
		address_from_v4(&reply->source, ip.saddr);
		address_from_v4(&reply->client.ip, ip.daddr);
		reply->fragment = !!(ip.frag_off & IPV4_FRAGMENT);
		reply->v4 = 1;
		return read_ports(skb, ip.ihl * 4, reply);
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		/* Fragments have another header in between: they keep the listener's port. */
		if (!load(skb, 0, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_UDP)
			return 0;
		__builtin_memcpy(&reply->source, &ip.saddr, sizeof(reply->source));
		__builtin_memcpy(&reply->client.ip, &ip.daddr, sizeof(reply->client.ip));
		return read_ports(skb, sizeof(ip), reply);
	}
	return 0;
}

static __always_inline int same_address(const struct ip_address *a, const struct ip_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] && a->word[3] == b->word[3];
}

/* Another socket may have the listener's port on another address of ours. */
static __always_inline int is_listeners(const struct reply *reply, const struct bind_answer *answer)
{
	const struct ip_address *ip = &answer->listener;

	return same_address(&reply->source, &answer->ip) || same_address(&reply->source, ip) ||
	       (!ip->word[0] && !ip->word[1] && !ip->word[2] && !ip->word[3]);
}

/* 0: UDP over IPv4 without a checksum, which stays without. */
static __always_inline int has_checksum(struct __sk_buff *skb, const struct reply *reply)
{
	__u16 check = 0;

	return !bpf_skb_load_bytes(skb, reply->transport + __builtin_offsetof(struct udphdr, check), &check, sizeof(check)) &&
	       check;
}

static __always_inline int put_address(struct __sk_buff *skb, const struct reply *reply, const struct ip_address *ip)
{
	__u32 check = reply->transport + __builtin_offsetof(struct udphdr, check);
	int sums = has_checksum(skb, reply);
	int i;

	if (reply->v4) {
		__be32 from = reply->source.word[3];
		__be32 to = ip->word[3];

		if (bpf_l3_csum_replace(skb, reply->network + __builtin_offsetof(struct iphdr, check), from, to, 4) ||
		    (sums && bpf_l4_csum_replace(skb, check, from, to, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4)))
			return 0;
		return !bpf_skb_store_bytes(skb, reply->network + __builtin_offsetof(struct iphdr, saddr), &to, 4, 0);
	}
	for (i = 0; i < 4; i++)
		if (sums && bpf_l4_csum_replace(skb, check, reply->source.word[i], ip->word[i],
						BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | 4))
			return 0;
	return !bpf_skb_store_bytes(skb, reply->network + __builtin_offsetof(struct ipv6hdr, saddr), ip, sizeof(*ip), 0);
}

static __always_inline int put_port(struct __sk_buff *skb, const struct reply *reply, __be16 port)
{
	__u32 check = reply->transport + __builtin_offsetof(struct udphdr, check);

	if (has_checksum(skb, reply) &&
	    bpf_l4_csum_replace(skb, check, reply->client.listener_port, port, BPF_F_MARK_MANGLED_0 | 2))
		return 0;
	return !bpf_skb_store_bytes(skb, reply->transport + __builtin_offsetof(struct udphdr, source), &port, sizeof(port),
				    0);
}

/* `network`: bytes in front of the network header on this kind of device. */
static __always_inline int mend(struct __sk_buff *skb, __u32 network)
{
	struct reply reply = { .network = network };
	struct bind_answer answer;
	struct bind_answer *found;

	if (!read_reply(skb, &reply))
		return NEXT_PROGRAM;
	found = bpf_map_lookup_elem(&bind_answers, &reply.client);
	if (!found)
		return NEXT_PROGRAM;
	answer = *found;
	if (!is_listeners(&reply, &answer))
		return NEXT_PROGRAM;
	if (!same_address(&reply.source, &answer.ip)) {
		if (reply.fragment || address_is_v4(&answer.ip) != reply.v4) {
			count(answer.binding, COUNT_UNMENDED);
			return NEXT_PROGRAM;
		}
		if (!put_address(skb, &reply, &answer.ip))
			return NEXT_PROGRAM;
	}
	if (put_port(skb, &reply, answer.port))
		count(answer.binding, COUNT_MENDED);
	return NEXT_PROGRAM;
}

#endif
