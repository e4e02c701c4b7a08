/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_INTERCEPTOR_HELPERS_H
#define PENSTOCK_INTERCEPTOR_HELPERS_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include "interceptor_maps.h"

static __always_inline void count(__u32 reason)
{
	__u64 *value = bpf_map_lookup_elem(&interceptor_counters, &reason);

	if (value)
		*value += 1; /* per CPU: nobody else writes it */
}

static __always_inline int port_is_diverted(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return (interceptor_ports[(number >> 6) & (PORT_WORDS - 1)] >> (number & 63)) & 1;
}

static __always_inline int lease_is_alive(void)
{
	__u32 index = interceptor_config.lease;
	__u64 *deadline = bpf_map_lookup_elem(&interceptor_leases, &index);

	/* volatile: user space writes through its mapping. */
	return deadline && bpf_ktime_get_boot_ns() < *(volatile __u64 *)deadline;
}

/* Relative to the network header: a device may have a link header of any length, or none. */
static __always_inline int load(struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes)
{
	return bpf_skb_load_bytes_relative(skb, offset, to, bytes, BPF_HDR_START_NET) == 0;
}

static __always_inline int read_ports(struct __sk_buff *skb, __u32 offset, struct segment *segment, __be16 *ports)
{
	return load(skb, offset, ports, 2 * sizeof(*ports)) &&
	       load(skb, offset + TCP_FLAGS_AT, &segment->flags, sizeof(segment->flags));
}

/* 0: no whole TCP segment over IPv4. Fragments are left alone: TCP doesn't send any. */
static __always_inline int read_v4(struct __sk_buff *skb, struct segment *segment)
{
	struct iphdr ip;
	__be16 ports[2];

	if (!load(skb, 0, &ip, sizeof(ip)) || ip.protocol != IPPROTO_TCP || (ip.frag_off & IPV4_FRAGMENT) ||
	    !read_ports(skb, ip.ihl * 4, segment, ports))
		return 0;
	segment->tuple.ipv4.saddr = ip.saddr;
	segment->tuple.ipv4.daddr = ip.daddr;
	segment->tuple.ipv4.sport = ports[0];
	segment->tuple.ipv4.dport = ports[1];
	segment->tuple_bytes = sizeof(segment->tuple.ipv4);
	segment->v4 = 1;
	return 1;
}

/* 0: no TCP segment right behind the IPv6 header. */
static __always_inline int read_v6(struct __sk_buff *skb, struct segment *segment)
{
	struct ipv6hdr ip;
	__be16 ports[2];

	if (!load(skb, 0, &ip, sizeof(ip)) || ip.nexthdr != IPPROTO_TCP || !read_ports(skb, sizeof(ip), segment, ports))
		return 0;
	__builtin_memcpy(segment->tuple.ipv6.saddr, &ip.saddr, sizeof(ip.saddr));
	__builtin_memcpy(segment->tuple.ipv6.daddr, &ip.daddr, sizeof(ip.daddr));
	segment->tuple.ipv6.sport = ports[0];
	segment->tuple.ipv6.dport = ports[1];
	segment->tuple_bytes = sizeof(segment->tuple.ipv6);
	segment->v4 = 0;
	return 1;
}

static __always_inline __be16 port_of(const struct segment *segment)
{
	return segment->v4 ? segment->tuple.ipv4.dport : segment->tuple.ipv6.dport;
}

/*
 * Whether the stack has a connection for it already: it finds that by itself, whoever's it is, so connections that were
 * there before us stay where they are. One in TIME_WAIT doesn't hold up a new one.
 */
static __always_inline int is_known(struct __sk_buff *skb, struct segment *segment)
{
	struct bpf_sock *sk = bpf_skc_lookup_tcp(skb, &segment->tuple, segment->tuple_bytes, BPF_F_CURRENT_NETNS, 0);
	int known;

	if (!sk)
		return 0;
	known = sk->state != BPF_TCP_LISTEN &&
		!(sk->state == BPF_TCP_TIME_WAIT && (segment->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN);
	bpf_sk_release(sk);
	return known;
}

/*
 * Whether the packet ends here. What is routed on must not be given a socket: the kernel drops it then. Where nothing is
 * routed at all (FWD_DISABLED), it ends here or nowhere.
 */
static __always_inline int is_for_us(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_fib_lookup route = { .ifindex = skb->ifindex, .l4_protocol = IPPROTO_TCP };
	long answer;

	if (segment->v4) {
		route.family = 2; /* AF_INET */
		route.ipv4_src = segment->tuple.ipv4.saddr;
		route.ipv4_dst = segment->tuple.ipv4.daddr;
	} else {
		route.family = 10; /* AF_INET6 */
		__builtin_memcpy(route.ipv6_src, segment->tuple.ipv6.saddr, sizeof(route.ipv6_src));
		__builtin_memcpy(route.ipv6_dst, segment->tuple.ipv6.daddr, sizeof(route.ipv6_dst));
	}
	answer = bpf_fib_lookup(skb, &route, sizeof(route), 0);
	return answer == BPF_FIB_LKUP_RET_NOT_FWDED || answer == BPF_FIB_LKUP_RET_FWD_DISABLED;
}

/* The listener that the gateway bound, to be released; of several that share the address, the kernel chooses one. */
static __always_inline struct bpf_sock *listener_for(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock_tuple tuple = segment->tuple;

	if (segment->v4) {
		if (!interceptor_config.listener4.port)
			return 0;
		tuple.ipv4.daddr = interceptor_config.listener4.ip.word[3];
		tuple.ipv4.dport = interceptor_config.listener4.port;
		return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	}
	if (!interceptor_config.listener6.port)
		return 0;
	tuple.ipv6.daddr[0] = interceptor_config.listener6.ip.word[0];
	tuple.ipv6.daddr[1] = interceptor_config.listener6.ip.word[1];
	tuple.ipv6.daddr[2] = interceptor_config.listener6.ip.word[2];
	tuple.ipv6.daddr[3] = interceptor_config.listener6.ip.word[3];
	tuple.ipv6.dport = interceptor_config.listener6.port;
	return bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
}

static __always_inline void divert(struct __sk_buff *skb, const struct segment *segment)
{
	struct bpf_sock *sk = listener_for(skb, segment);

	if (!sk) {
		count(COUNT_NO_LISTENER);
		return;
	}
	/* A socket that is no listener has the gateway's own address and port as its own: nobody's business but the stack's. */
	if (sk->state != BPF_TCP_LISTEN)
		count(COUNT_NO_LISTENER);
	else if (bpf_sk_assign(skb, sk, 0))
		count(COUNT_REFUSED);
	else if ((segment->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		count(COUNT_DIVERTED);
	bpf_sk_release(sk);
}

#endif
