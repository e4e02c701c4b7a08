/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Where a packet goes out, by the kernel's own routes and neighbours. */
#ifndef PENSTOCK_BALANCER_NEXT_HOP_H
#define PENSTOCK_BALANCER_NEXT_HOP_H

#include "balancer_maps.h"
#include "balancer_packet.h"

#define ROUTE_FOUND (-1)

static __always_inline int route_reason(long result)
{
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return ROUTE_FOUND;
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		/* User space has the kernel ask for it: nobody else may be sending there. */
		return REASON_NO_NEIGHBOUR;
	case BPF_FIB_LKUP_RET_FWD_DISABLED:
		return REASON_FORWARDING_OFF;
	default:
		return REASON_NO_ROUTE;
	}
}

/*
 * ROUTE_FOUND, or the reason why there is none. Both addresses are of one family. Seldom called, and of a large frame: so it has one
 * of its own.
 */
static __noinline int ask_route(struct xdp_md *ctx, const struct ip_address *from, const struct ip_address *to,
				struct next_hop *hop)
{
	struct bpf_fib_lookup route = { .ifindex = ctx->ingress_ifindex };
	int reason;

	if (address_is_v4(to)) {
		route.family = AF_INET;
		route.ipv4_src = from->word[3];
		route.ipv4_dst = to->word[3];
	} else {
		route.family = AF_INET6;
		__builtin_memcpy(route.ipv6_src, from, sizeof(*from));
		__builtin_memcpy(route.ipv6_dst, to, sizeof(*to));
	}
	reason = route_reason(bpf_fib_lookup(ctx, &route, sizeof(route), 0));
	if (reason != ROUTE_FOUND)
		return reason;
	hop->ifindex = route.ifindex;
	hop->mtu = route.mtu_result;
	__builtin_memcpy(hop->destination, route.dmac, sizeof(hop->destination));
	__builtin_memcpy(hop->source, route.smac, sizeof(hop->source));
	return ROUTE_FOUND;
}

/* Towards an endpoint; `*found` is this CPU's, valid for this packet. */
static __always_inline int endpoint_hop(struct xdp_md *ctx, const struct endpoint *endpoint, __u32 id, __u64 now,
					struct next_hop **found)
{
	struct next_hop *hop = bpf_map_lookup_elem(&balancer_next_hops, &id);
	int reason;

	if (!hop)
		return REASON_NO_ROUTE;
	*found = hop;
	if (now < hop->until_ns && hop->generation == endpoint->generation)
		return ROUTE_FOUND;
	reason = ask_route(ctx, &endpoint->source, &endpoint->address, hop);
	if (reason == ROUTE_FOUND) {
		hop->generation = endpoint->generation;
		hop->until_ns = now + NEXT_HOP_NS;
	}
	return reason;
}

/* The frame's head, and out. Back where it came from is another action than elsewhere. */
static __always_inline int send_to(struct xdp_md *ctx, const struct next_hop *hop, __be16 protocol)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	__builtin_memcpy(eth->h_dest, hop->destination, ETH_ALEN);
	__builtin_memcpy(eth->h_source, hop->source, ETH_ALEN);
	eth->h_proto = protocol;
	if (hop->ifindex == ctx->ingress_ifindex)
		return XDP_TX;
	return bpf_redirect(hop->ifindex, 0);
}

#endif
