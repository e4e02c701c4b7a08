/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_STEER_HELPERS_H
#define PENSTOCK_STEER_HELPERS_H

#include "steer_maps.h"

static __always_inline void count(__u32 reason)
{
	__u64 *value = bpf_map_lookup_elem(&steer_counters, &reason);

	if (value)
		*value += 1; /* per CPU: nobody else writes it */
}

static __always_inline int port_is_steered(__be16 port)
{
	__u32 number = bpf_ntohs(port);

	return (steer_ports[(number >> 6) & (PORT_WORDS - 1)] >> (number & 63)) & 1;
}

static __always_inline int lease_is_alive(void)
{
	__u32 index = steer_config.lease;
	__u64 *deadline = bpf_map_lookup_elem(&steer_leases, &index);

	/* volatile: user space writes through its mapping. */
	return deadline && bpf_ktime_get_boot_ns() < *(volatile __u64 *)deadline;
}

/*
 * The gateway's own connections must never come back to it. Its cgroup is looked for at every depth, not at a known
 * one: a depth read in a container counts from that container's root, not from the kernel's.
 */
static __always_inline int is_gateway(void)
{
	int level;

	if (!steer_config.gateway_cgroup)
		return 0;
#pragma unroll
	for (level = 0; level < CGROUP_DEPTH_MAX; level++) {
		__u64 id = bpf_get_current_ancestor_cgroup_id(level);

		if (!id)
			return 0;
		if (id == steer_config.gateway_cgroup)
			return 1;
	}
	return 0;
}

static __always_inline int same_endpoint(const struct endpoint *to, const volatile struct endpoint *listener)
{
	return to->port == listener->port && to->ip.word[0] == listener->ip.word[0] &&
	       to->ip.word[1] == listener->ip.word[1] && to->ip.word[2] == listener->ip.word[2] &&
	       to->ip.word[3] == listener->ip.word[3];
}

/* Word by word: a plain assignment would drop `volatile`, and the compiler then knows the configuration is all zeros. */
static __always_inline void copy_endpoint(struct endpoint *to, const volatile struct endpoint *from)
{
	to->ip.word[0] = from->ip.word[0];
	to->ip.word[1] = from->ip.word[1];
	to->ip.word[2] = from->ip.word[2];
	to->ip.word[3] = from->ip.word[3];
	to->port = from->port;
	to->protocol = 0;
}

/*
 * Several entries may see one connect: two on a cgroup, or one on it and one on a parent. The first that redirects wins;
 * for the others the destination is then the listener it was sent to.
 */
static __always_inline int is_redirected(const struct pending *pending, const struct endpoint *to)
{
	return pending && same_endpoint(to, &pending->listener);
}

/* Whether anything speaks against redirecting. Cheapest first: most connects go to a port that nobody steers. */
static __always_inline int may_redirect(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct endpoint *to,
					const volatile struct endpoint *listener)
{
	if (!listener->port || !port_is_steered(to->port) || same_endpoint(to, listener))
		return 0;
	/* Another network namespace has another loopback, where nobody listens; so has a socket bound to a device. */
	if (bpf_get_netns_cookie(ctx) != steer_config.netns_cookie || sk->bound_dev_if)
		return 0;
	if ((steer_config.exempt_mark && sk->mark == steer_config.exempt_mark) || is_gateway()) {
		count(COUNT_EXEMPT);
		return 0;
	}
	if (!lease_is_alive()) {
		count(COUNT_LEASE_EXPIRED);
		return 0;
	}
	return 1;
}

/* Whether this connect is to be redirected; then, and only then, its destination has been recorded. */
static __always_inline int should_redirect(struct bpf_sock_addr *ctx, const struct endpoint *to,
					   const volatile struct endpoint *listener)
{
	struct bpf_sock *sk = ctx->sk;
	struct pending *pending;

	if (!sk || ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP || steer_config.protocol != IPPROTO_TCP)
		return 0;
	pending = bpf_sk_storage_get(&steer_pending, sk, 0, 0);
	if (is_redirected(pending, to))
		return 0;
	if (!may_redirect(ctx, sk, to, listener)) {
		/* A second connect of a socket whose first one failed: the old record must not be taken for its own. */
		if (pending)
			bpf_sk_storage_delete(&steer_pending, sk);
		return 0;
	}
	if (!pending)
		pending = bpf_sk_storage_get(&steer_pending, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!pending) {
		count(COUNT_UNRECORDED);
		return 0;
	}
	pending->original = *to;
	copy_endpoint(&pending->listener, listener);
	count(COUNT_REDIRECTED);
	return 1;
}

/*
 * The same for a datagram socket, on connect and on each send to an address. Its first steered destination is its only
 * one: answers, and who receives, could not tell two of them apart.
 */
static __always_inline int should_redirect_datagram(struct bpf_sock_addr *ctx, const struct endpoint *to,
						    const volatile struct endpoint *listener)
{
	struct bpf_sock *sk = ctx->sk;
	struct datagrams *known;

	if (!sk || ctx->type != SOCK_DGRAM || ctx->protocol != IPPROTO_UDP || steer_config.protocol != IPPROTO_UDP ||
	    !may_redirect(ctx, sk, to, listener))
		return 0;
	known = bpf_sk_storage_get(&steer_datagrams, sk, 0, 0);
	if (known) {
		/* Another entry has redirected it already, to its own listener. */
		if (!same_endpoint(&known->pending.original, to) || !same_endpoint(&known->pending.listener, listener)) {
			count(COUNT_SECOND);
			return 0;
		}
		return 1;
	}
	known = bpf_sk_storage_get(&steer_datagrams, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!known) {
		count(COUNT_UNRECORDED);
		return 0;
	}
	known->pending.original = *to;
	copy_endpoint(&known->pending.listener, listener);
	count(COUNT_REDIRECTED);
	return 1;
}

/* What a socket was redirected from, when `at` is where it was redirected to; else null. */
static __always_inline struct endpoint *redirected_from(struct bpf_sock_addr *ctx, const struct endpoint *at)
{
	struct bpf_sock *sk = ctx->sk;
	struct datagrams *datagrams;
	struct pending *pending;

	if (!sk)
		return 0;
	if (steer_config.protocol == IPPROTO_TCP) {
		pending = bpf_sk_storage_get(&steer_pending, sk, 0, 0);
	} else {
		datagrams = bpf_sk_storage_get(&steer_datagrams, sk, 0, 0);
		pending = datagrams ? &datagrams->pending : 0;
	}
	return pending && same_endpoint(at, &pending->listener) ? &pending->original : 0;
}

/* Where a datagram leaves from, as its receiver will see it. 0: not to be told. */
static __always_inline int source_of(struct __sk_buff *skb, struct endpoint *source)
{
	__u32 at;

	source->protocol = IPPROTO_UDP;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		__u8 header[20];

		if (bpf_skb_load_bytes(skb, 0, header, sizeof(header)) || header[9] != IPPROTO_UDP)
			return 0;
		/* Of fragments the first one has the ports. */
		if (header[6] & 0x1f || header[7])
			return 0;
		address_from_v4(&source->ip, *(__be32 *)(header + 12));
		at = (header[0] & 15) * 4;
	} else {
		__u8 next;

		if (bpf_skb_load_bytes(skb, 6, &next, sizeof(next)) || next != IPPROTO_UDP ||
		    bpf_skb_load_bytes(skb, 8, &source->ip, sizeof(source->ip)))
			return 0;
		at = 40;
	}
	return bpf_skb_load_bytes(skb, at, &source->port, sizeof(source->port)) == 0;
}

/* The client's end of the connection, as the gateway will see its peer. */
static __always_inline void local_end(struct bpf_sock_ops *ctx, struct endpoint *end)
{
	__builtin_memset(end, 0, sizeof(*end));
	if (ctx->family == AF_INET6) {
		/* An IPv6 socket that talks IPv4 has the mapped form here already. */
		end->ip.word[0] = ctx->local_ip6[0];
		end->ip.word[1] = ctx->local_ip6[1];
		end->ip.word[2] = ctx->local_ip6[2];
		end->ip.word[3] = ctx->local_ip6[3];
		/* Keeps the compiler from merging both branches' last load, by a computed address the verifier refuses. */
		barrier();
	} else {
		address_from_v4(&end->ip, ctx->local_ip4);
	}
	end->port = bpf_htons((__u16)ctx->local_port);
}

#endif
