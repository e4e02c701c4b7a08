/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BIND_HELPERS_H
#define PENSTOCK_BIND_HELPERS_H

#include "bind_maps.h"

static __always_inline void count(__u32 binding, __u32 reason)
{
	struct bind_counts *counts = bpf_map_lookup_elem(&bind_counters, &binding);

	if (counts)
		counts->of[reason] += 1; /* per CPU: nobody else writes it */
}

static __always_inline int lease_is_alive(__u32 binding)
{
	__u64 *deadline = bpf_map_lookup_elem(&bind_leases, &binding);

	/* volatile: user space writes through its mapping. */
	return deadline && bpf_ktime_get_boot_ns() < *(volatile __u64 *)deadline;
}

/* 1: a < b. Without a branch, and hidden from the compiler, which would make one of it. */
static __always_inline __u32 below(__u32 a, __u32 b)
{
	__u64 difference = (__u64)a - b;

	barrier_var(difference);
	return difference >> 63;
}

/*
 * The range that holds a port, or null. By halves, always as many steps: ranges behind the last are never chosen, since
 * `count` bounds each step. A branch in each step would make 64 paths for the verifier to walk, a tenth of a second.
 */
static __always_inline struct bind_range *range_of(struct bind_ranges *ranges, __u32 port)
{
	struct bind_range *range;
	__u32 at = 0;
	int step;

#pragma unroll
	for (step = SEARCH_STEPS - 1; step >= 0; step--) {
		__u32 next = (at + (1 << step)) & (RANGES_MAX - 1);

		at += (below(next, ranges->count) & below(ranges->range[next].first, port + 1)) << step;
	}
	/* Below RANGES_MAX by itself; the mask tells the verifier. */
	range = &ranges->range[at & (RANGES_MAX - 1)];
	return ranges->count && range->first <= port && port <= range->last ? range : 0;
}

static __always_inline void local_address(struct bpf_sk_lookup *ctx, struct ip_address *ip)
{
	if (ctx->family == AF_INET6) {
		ip->word[0] = ctx->local_ip6[0];
		ip->word[1] = ctx->local_ip6[1];
		ip->word[2] = ctx->local_ip6[2];
		ip->word[3] = ctx->local_ip6[3];
		/* Keeps the compiler from merging both branches' last load, by a computed address the verifier refuses. */
		barrier();
	} else {
		address_from_v4(ip, ctx->local_ip4);
	}
}

static __always_inline void remote_address(struct bpf_sk_lookup *ctx, struct ip_address *ip)
{
	if (ctx->family == AF_INET6) {
		ip->word[0] = ctx->remote_ip6[0];
		ip->word[1] = ctx->remote_ip6[1];
		ip->word[2] = ctx->remote_ip6[2];
		ip->word[3] = ctx->remote_ip6[3];
		barrier();
	} else {
		address_from_v4(ip, ctx->remote_ip4);
	}
}

/* So that the answers to this client leave from where it sent to. Written only when it says something new. */
static __always_inline void note_answer(struct bpf_sk_lookup *ctx, const struct ip_address *to, __u32 binding,
					__u32 slot)
{
	struct bind_listener *listener = bpf_map_lookup_elem(&bind_listeners, &slot);
	struct bind_answer answer = {};
	struct bind_client client = {};
	struct bind_answer *known;

	if (!listener)
		return;
	remote_address(ctx, &client.ip);
	client.port = (__be16)ctx->remote_port;
	client.listener_port = listener->port;
	answer.ip = *to;
	answer.listener = listener->ip;
	answer.port = bpf_htons((__u16)ctx->local_port);
	answer.binding = binding;
	known = bpf_map_lookup_elem(&bind_answers, &client);
	if (known && known->port == answer.port && known->ip.word[0] == to->word[0] && known->ip.word[1] == to->word[1] &&
	    known->ip.word[2] == to->word[2] && known->ip.word[3] == to->word[3])
		return;
	bpf_map_update_elem(&bind_answers, &client, &answer, BPF_ANY);
}

#endif
