/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Which endpoint a packet belongs to: the one its flow has, else the one the ring gives. */
#ifndef PENSTOCK_BALANCER_FLOW_H
#define PENSTOCK_BALANCER_FLOW_H

#include "balancer_count.h"
#include "balancer_packet.h"

/* The far end of a packet, and the service it is for. */
struct client {
	const struct ip_address *address;
	__be16 port;
	__u16 service;
};

struct owner {
	struct endpoint *endpoint;
	/* Null where the flow is not remembered. */
	struct flow *flow;
	__u32 id;
	__u32 hash;
	/* 1: the flow was not known before. */
	__u32 fresh;
};

static __always_inline struct service *find_service(const struct ip_address *address, __be16 port, __u8 protocol,
						    __u32 *id)
{
	struct vip vip = { .address = *address, .port = port, .protocol = protocol };
	__u32 *found = bpf_map_lookup_elem(&balancer_vips, &vip);
	struct service *service;

	if (!found)
		return 0;
	*id = *found;
	service = bpf_map_lookup_elem(&balancer_services, id);
	return service && service->devices & balancer_config.device ? service : 0;
}

/* One step of MurmurHash3 (public domain). */
static __always_inline __u32 stir(__u32 hash, __u32 word)
{
	word *= 0xcc9e2d51;
	word = word << 15 | word >> 17;
	hash ^= word * 0x1b873593;
	hash = hash << 13 | hash >> 19;
	return hash * 5 + 0xe6546b64;
}

/*
 * Of a flow, the same on every node: of nothing but what stands in its packets, and without a seed. So nodes that share
 * an address agree on a flow that changes from one to another; and so a client can choose its endpoint, which it can by trying, too.
 */
static __always_inline __u32 flow_hash(const struct client *client, const struct service *service)
{
	__u32 hash = 0;
	int i;

#pragma unroll
	for (i = 0; i < 4; i++)
		hash = stir(hash, client->address->word[i]);
	hash = stir(hash, (__u32)client->port << 16 | service->port);
	hash = stir(hash, service->address.word[3] ^ service->address.word[1] ^ service->protocol);
	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	return hash ^ hash >> 16;
}

/* Index of the ring's endpoint for a hash; 0: there is none. */
static __always_inline __u32 ring_endpoint(__u32 service, __u32 hash)
{
	void *map = bpf_map_lookup_elem(&balancer_rings, &service);
	__u32 first = 0;
	struct ring *ring;
	__u64 slot;

	if (!map)
		return 0;
	ring = bpf_map_lookup_elem(map, &first);
	/* Spread over the slots by a multiplication, which is a division less. */
	slot = (__u64)hash * RING_SLOTS >> 32;
	/* The compiler can tell that the slot is in the ring, the verifier can't: the test must stay. */
	barrier_var(slot);
	if (!ring || slot >= RING_SLOTS)
		return 0;
	return ring->endpoints[slot];
}

static __always_inline struct endpoint *endpoint_of(__u32 id, __u16 service)
{
	struct endpoint *endpoint = bpf_map_lookup_elem(&balancer_endpoints, &id);

	return id && endpoint && endpoint->state != STATE_NONE && endpoint->service == service ? endpoint : 0;
}

/* Whether one more new flow may be remembered on this CPU in this second. */
static __always_inline int within_rate(__u64 now)
{
	__u32 zero = 0;
	struct balancer_control *control = bpf_map_lookup_elem(&balancer_control, &zero);
	struct rate *rate = bpf_map_lookup_elem(&balancer_rates, &zero);

	if (!control || !rate)
		return 0;
	if (now - rate->window_ns >= RATE_WINDOW_NS) {
		rate->window_ns = now;
		rate->flows = 0;
	}
	rate->flows += 1;
	return rate->flows <= control->flows_per_second;
}

static __always_inline void flow_key(struct flow_key *key, const struct client *client)
{
	key->client = *client->address;
	key->port = client->port;
	key->service = client->service;
}

/* The endpoint that a flow has, if that still is one. */
static __always_inline int known_owner(const struct client *client, const struct service *service, int opens, __u64 now,
				       struct owner *owner)
{
	struct endpoint *endpoint;
	struct flow_key key;
	struct flow *flow;

	flow_key(&key, client);
	flow = bpf_map_lookup_elem(&balancer_flows, &key);
	if (!flow)
		return 0;
	/* The clock is coarse, and another CPU may have been here a moment later. */
	if ((__s64)(now - flow->seen_ns) > (__s64)service->flow_timeout_ns)
		return 0;
	endpoint = endpoint_of(flow->endpoint, client->service);
	/* Dead, or another one in its place: the flow is lost. */
	if (!endpoint || endpoint->generation != flow->generation)
		return 0;
	/* A client's next connection from the same port is a new flow. */
	if (opens && endpoint->state == STATE_DRAINING)
		return 0;
	owner->endpoint = endpoint;
	owner->flow = flow;
	owner->id = flow->endpoint;
	owner->hash = flow->hash;
	return 1;
}

/* The endpoint that the ring gives. */
static __always_inline int ring_owner(const struct client *client, const struct service *service, struct owner *owner)
{
	owner->hash = flow_hash(client, service);
	owner->id = ring_endpoint(client->service, owner->hash);
	owner->endpoint = endpoint_of(owner->id, client->service);
	owner->flow = 0;
	return !!owner->endpoint;
}

/* For packets of clients: remembers what it finds. 0: there is no endpoint. */
static __always_inline int find_owner(const struct client *client, const struct service *service, int opens, __u64 now,
				      struct owner *owner)
{
	struct flow flow = { .seen_ns = now };
	struct flow_key key;

	if (known_owner(client, service, opens, now, owner)) {
		/* A store that changes nothing would still take the line from other CPUs. */
		if (owner->flow->seen_ns != now)
			owner->flow->seen_ns = now;
		return 1;
	}
	if (!ring_owner(client, service, owner))
		return 0;
	owner->fresh = 1;
	if (!within_rate(now)) {
		count_reason(client->service, REASON_UNRECORDED);
		return 1;
	}
	flow.endpoint = owner->id;
	flow.generation = owner->endpoint->generation;
	flow.hash = owner->hash;
	flow_key(&key, client);
	bpf_map_update_elem(&balancer_flows, &key, &flow, BPF_ANY);
	if (service->mode == MODE_NAT)
		owner->flow = bpf_map_lookup_elem(&balancer_flows, &key);
	return 1;
}

#endif
