/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * Full NAT: the endpoint sees a connection from `source` and a port that is chosen here, and what it answers comes back through
 * here. For endpoints that can't take off a header, or that listen on another port.
 *
 *     client:port -> vip:port    becomes    source:nat_port -> endpoint:port    and the other way round
 */
#ifndef PENSTOCK_BALANCER_NAT_H
#define PENSTOCK_BALANCER_NAT_H

#include "balancer_checksum.h"
#include "balancer_flow.h"
#include "balancer_next_hop.h"
#include "balancer_too_big.h"

/* Puts `to` in the place of `packet->ends`, with checksums mended. 0: the packet is shorter than it says. */
static __always_inline int rewrite(struct xdp_md *ctx, struct packet *packet, struct ends *to)
{
	__u32 difference = ends_difference(&packet->ends, to);
	void *end = (void *)(long)ctx->data_end;
	void *ip = (void *)(long)ctx->data + ETH_HLEN;
	struct tcphdr *tcp = transport_of(ctx, packet);
	struct udphdr *udp = (void *)tcp;

	if ((void *)(udp + 1) > end)
		return 0;
	udp->source = to->source_port;
	udp->dest = to->destination_port;
	if (packet->protocol == IPPROTO_UDP) {
		mend_udp(&udp->check, difference);
	} else {
		if ((void *)(tcp + 1) > end)
			return 0;
		mend(&tcp->check, difference);
	}
	if (packet->v6) {
		struct ipv6hdr *v6 = ip;

		if ((void *)(v6 + 1) > end)
			return 0;
		__builtin_memcpy(&v6->saddr, &to->source, sizeof(v6->saddr));
		__builtin_memcpy(&v6->daddr, &to->destination, sizeof(v6->daddr));
	} else {
		struct iphdr *v4 = ip;

		if ((void *)(v4 + 1) > end)
			return 0;
		v4->saddr = to->source.word[3];
		v4->daddr = to->destination.word[3];
		mend(&v4->check, addresses_difference(&packet->ends, to));
	}
	return 1;
}

static __always_inline int same_address(const struct ip_address *a, const struct ip_address *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* What the answers of a flow have in common, whichever port it has. */
static __always_inline void return_key(struct return_key *key, const struct endpoint *endpoint, __u8 protocol)
{
	__builtin_memset(key, 0, sizeof(*key));
	key->endpoint = endpoint->address;
	key->port = endpoint->port;
	key->protocol = protocol;
}

static __always_inline int is_way_back(const struct return_flow *back, const struct owner *owner, const struct client *client)
{
	return same_address(&back->client, client->address) && back->port == client->port &&
	       back->service == client->service && back->endpoint == owner->id &&
	       back->generation == owner->endpoint->generation;
}

/* Whether nobody needs this entry any more: its flow was silent for too long, or its endpoint is no longer the same. */
static __always_inline int is_void(const struct return_flow *back, __u64 now)
{
	__u32 id = back->service;
	struct service *service = bpf_map_lookup_elem(&balancer_services, &id);
	struct endpoint *endpoint = endpoint_of(back->endpoint, back->service);

	if (!service || !endpoint || endpoint->generation != back->generation)
		return 1;
	return (__s64)(now - back->seen_ns) > (__s64)service->flow_timeout_ns;
}

/* The ports that a flow may have, in order. 4909 is prime: none comes twice while there are ports enough. */
static __always_inline __be16 nat_port(const struct owner *owner, __u32 attempt)
{
	const struct endpoint *endpoint = owner->endpoint;

	return bpf_htons(endpoint->port_first + (spread_hash(owner->hash) + attempt * 4909) % endpoint->port_count);
}

/* The port that a flow has, into `key`: usually the first that it may have. 0: it has none. */
static __always_inline int find_port(const struct owner *owner, const struct client *client, struct return_key *key,
				     __u64 now)
{
	__u32 i;

	for (i = 0; i < PORT_ATTEMPTS; i++) {
		struct return_flow *back;

		key->nat_port = nat_port(owner, i);
		back = bpf_map_lookup_elem(&balancer_returns, key);
		if (!back || !is_way_back(back, owner, client))
			continue;
		if (back->seen_ns != now)
			back->seen_ns = now;
		return 1;
	}
	return 0;
}

/* Makes a port that is nobody else's the flow's. 0: all that it may have are taken. */
static __always_inline int claim_port(const struct owner *owner, const struct client *client, struct return_key *key,
				      __u64 now)
{
	struct return_flow wanted = {
		.seen_ns = now,
		.client = *client->address,
		.port = client->port,
		.service = client->service,
		.endpoint = owner->id,
		.generation = owner->endpoint->generation,
	};
	__u32 i;

	for (i = 0; i < PORT_ATTEMPTS; i++) {
		struct return_flow *back;

		key->nat_port = nat_port(owner, i);
		back = bpf_map_lookup_elem(&balancer_returns, key);
		if (back && !is_way_back(back, owner, client) && !is_void(back, now))
			continue;
		if (!bpf_map_update_elem(&balancer_returns, key, &wanted, back ? BPF_ANY : BPF_NOEXIST))
			return 1;
	}
	return 0;
}

static __noinline int nat_to_endpoint(struct xdp_md *ctx, struct packet *packet, struct owner *owner,
				      struct next_hop *hop, __u64 now)
{
	struct endpoint *endpoint = owner->endpoint;
	__u32 service = endpoint->service;
	struct client client = { &packet->ends.source, packet->ends.source_port, service };
	struct ends to = { .source = endpoint->source, .destination = endpoint->address };
	struct return_key key;

	/* There are too many new flows: this one is not remembered, and without a way back it is not sent on either. */
	if (!owner->recorded)
		return XDP_DROP;
	if (!endpoint->port_count)
		return drop_for(service, REASON_NO_PORT);
	return_key(&key, endpoint, packet->protocol);
	/* What is new has no port; or it lost its word to another flow, and then comes upon its own when it claims one. */
	if ((owner->fresh || !find_port(owner, &client, &key, now)) && !claim_port(owner, &client, &key, now))
		return drop_for(service, REASON_NO_PORT);
	to.source_port = key.nat_port;
	to.destination_port = endpoint->port;
	if (!rewrite(ctx, packet, &to))
		return drop_for(service, REASON_MANGLED);
	return send_to(ctx, hop, packet->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
}

/* Who an endpoint's packet is for. Null: it is none of ours. */
static __always_inline struct return_flow *find_return(const struct ip_address *endpoint, __be16 port,
						       const struct ip_address *source, __be16 nat_port, __u8 protocol)
{
	struct return_key key = { .endpoint = *endpoint, .port = port, .nat_port = nat_port, .protocol = protocol };
	struct return_flow *back = bpf_map_lookup_elem(&balancer_returns, &key);
	struct endpoint *its;

	if (!back)
		return 0;
	its = endpoint_of(back->endpoint, back->service);
	return its && its->generation == back->generation && same_address(&its->source, source) ? back : 0;
}

static __always_inline struct service *service_of_return(const struct return_flow *back)
{
	__u32 id = back->service;
	struct service *service = bpf_map_lookup_elem(&balancer_services, &id);

	return service && service->devices & balancer_config.device ? service : 0;
}

#define NOT_OURS (-1)

/* A packet that is for no service may be an endpoint's answer. */
static __noinline int nat_to_client(struct xdp_md *ctx, struct packet *packet, __u64 now)
{
	struct return_flow *back = find_return(&packet->ends.source, packet->ends.source_port, &packet->ends.destination,
					       packet->ends.destination_port, packet->protocol);
	struct service *service = back ? service_of_return(back) : 0;
	struct next_hop hop = {};
	struct ends to = {};
	__u32 id;
	int reason;

	if (!service)
		return NOT_OURS;
	id = back->service;
	if (back->seen_ns != now)
		back->seen_ns = now;
	if (packet->fragment)
		return drop_for(id, REASON_FRAGMENT);
	to.source = service->address;
	to.source_port = service->port;
	to.destination = back->client;
	to.destination_port = back->port;
	reason = ask_route(ctx, &to.source, &to.destination, &hop);
	if (reason != ROUTE_FOUND)
		return drop_for(id, reason);
	if (hop.mtu && packet->bytes > hop.mtu)
		return too_big(ctx, packet, id, hop.mtu);
	if (!take_hop(ctx, packet))
		return drop_for(id, REASON_TTL);
	if (!rewrite(ctx, packet, &to))
		return drop_for(id, REASON_MANGLED);
	count_return(id, packet->bytes);
	return send_to(ctx, &hop, packet->v6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP));
}

#endif
