// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * L4 load balancer: packets for a service's address, port and protocol go to one of its endpoints, without a socket
 * and without a process of ours on their way.
 *
 *     vip ──▶ service ──▶ flow known? ──▶ endpoint ──▶ next hop ──▶ DSR: one more header in front
 *                           │ no             ▲                      NAT: both ends rewritten, and back again
 *                           └──▶ ring ───────┘
 *
 * Rings are the same on every node, so nodes that share an address need not talk to each other. Everything that is no
 * service's passes on.
 */
#include "chain.h"
#include "balancer_error.h"

static __always_inline int nat_is_used(void)
{
	__u32 zero = 0;
	struct balancer_control *control = bpf_map_lookup_elem(&balancer_control, &zero);

	return control && control->nat;
}

static __always_inline int balance(struct xdp_md *ctx, struct packet *packet, __u64 now)
{
	struct client client = { .address = &packet->ends.source, .port = packet->ends.source_port };
	struct next_hop *hop = 0;
	struct owner owner = {};
	struct service *service;
	__u32 overhead;
	__u32 id = 0;
	int reason;

	service = find_service(&packet->ends.destination, packet->ends.destination_port, packet->protocol, &id);
	if (!service)
		return nat_is_used() ? nat_to_client(ctx, packet, now) : NOT_OURS;
	if (packet->fragment)
		return drop_for(id, REASON_FRAGMENT);
	client.service = id;
	if (!find_owner(&client, service, packet->opens, now, &owner))
		return drop_for(id, REASON_NO_ENDPOINT);
	reason = endpoint_hop(ctx, owner.endpoint, owner.id, now, &hop);
	if (reason != ROUTE_FOUND || !hop)
		return drop_for(id, reason);
	overhead = service->mode == MODE_DSR ? outer_bytes(owner.endpoint) : 0;
	if (hop->mtu && packet->bytes + overhead > hop->mtu)
		return too_big(ctx, packet, id, hop->mtu - overhead);
	if (!take_hop(ctx, packet))
		return drop_for(id, REASON_TTL);
	count_packet(id, owner.id, packet->bytes, owner.fresh);
	if (service->mode == MODE_NAT)
		return nat_to_endpoint(ctx, packet, &owner, hop, now);
	return encapsulate(ctx, packet, &owner, hop, id);
}

static __always_inline int balance_error(struct xdp_md *ctx, struct packet *packet, __u64 now)
{
	struct quote quote = {};
	int verdict;

	if (!read_quote(ctx, packet, &quote))
		return NOT_OURS;
	verdict = error_to_endpoint(ctx, packet, &quote, now);
	if (verdict == NOT_OURS && nat_is_used())
		verdict = error_to_client(ctx, packet, &quote);
	return verdict;
}

/* NOT_OURS, or what becomes of the packet. */
static __always_inline int send_on(struct xdp_md *ctx)
{
	struct packet packet = {};

	switch (read_packet(ctx, &packet)) {
	case KIND_TRANSPORT:
		return balance(ctx, &packet, bpf_ktime_get_coarse_ns());
	case KIND_ERROR:
		return balance_error(ctx, &packet, bpf_ktime_get_coarse_ns());
	default:
		return NOT_OURS;
	}
}

SEC("xdp.frags")
int balancer(struct xdp_md *ctx)
{
	int verdict = send_on(ctx);

	return verdict == NOT_OURS ? chain_pass(ctx, CHAIN_BALANCER) : verdict;
}

char _license[] SEC("license") = "Dual BSD/GPL";
