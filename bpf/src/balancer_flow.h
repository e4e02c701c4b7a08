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
	__u64 hash;
	__u32 id;
	/* One more than the way of the flow's word, which may say nothing true any more; 0: it has none. */
	__u32 way;
	/* The flow was not known before. */
	__u8 fresh;
	/* It is now. */
	__u8 recorded;
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

#define STIR 0xc6a4a7935bd1e995ULL

/* One step of MurmurHash64A (public domain). */
static __always_inline __u64 stir(__u64 hash, __u64 word)
{
	word *= STIR;
	word ^= word >> 47;
	word *= STIR;
	return (hash ^ word) * STIR;
}

/*
 * Of a flow, the same on every node: of nothing but what stands in its packets, and without a seed. So nodes that share
 * an address agree on a flow that changes from one to another; and so a client can choose its endpoint, which it can by trying, too.
 */
static __always_inline __u64 flow_hash(const struct client *client, const struct service *service)
{
	const __be32 *from = client->address->word;
	__u32 to = service->address.word[3] ^ service->address.word[1] ^ service->protocol;
	__u64 hash = stir(0, (__u64)from[0] << 32 | from[1]);

	hash = stir(hash, (__u64)from[2] << 32 | from[3]);
	hash = stir(hash, (__u64)to << 32 | (__u32)client->port << 16 | service->port);
	hash ^= hash >> 47;
	hash *= STIR;
	return hash ^ hash >> 47;
}

/* The half of it that is spread over what has nothing to do with the flow table, which has the other one. */
static __always_inline __u32 spread_hash(__u64 hash)
{
	return hash >> 32;
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

/* A word: see struct flow_set. An empty one has no endpoint. */
#define TAG_SHIFT 40
#define GENERATION_SHIFT 32
#define ENDPOINT_SHIFT 20
#define GENERATION_MASK 0xff
#define ENDPOINT_MASK (ENDPOINTS_MAX - 1)
#define SEEN_MASK 0xfffff

static __always_inline struct flow_set *flow_set(__u64 hash)
{
	__u32 index = hash & (FLOW_SETS - 1);

	return bpf_map_lookup_elem(&balancer_flows, &index);
}

/* The verifier wants to see that it is within the set. */
static __always_inline __u64 *flow_place(struct flow_set *set, __u32 way)
{
	return &set->words[way & (FLOW_WAYS - 1)];
}

static __always_inline __u64 flow_tag(__u64 hash)
{
	return hash >> 16 & 0xffffff;
}

static __always_inline __u64 flow_word(const struct owner *owner, __u64 now)
{
	return flow_tag(owner->hash) << TAG_SHIFT |
	       (__u64)(owner->endpoint->generation & GENERATION_MASK) << GENERATION_SHIFT |
	       (__u64)owner->id << ENDPOINT_SHIFT | (now >> SEEN_SHIFT & SEEN_MASK);
}

/* In nanoseconds, by the unit of `seen`. Another CPU may have been here a moment later, which is no silence. */
static __always_inline __u64 silence(__u64 word, __u64 now)
{
	__u64 units = ((now >> SEEN_SHIFT) + 1 - word) & SEEN_MASK;

	return units ? (units - 1) << SEEN_SHIFT : 0;
}

/*
 * One more than the way with this tag; 0: none has it. Reckoned without branches: the processor would guess many of them
 * wrong, and the verifier follow all of them. A function of its own, so that eight words do not stay on its callers' stack.
 */
static __noinline __u32 find_way(const struct flow_set *set, __u64 tag)
{
	__u32 found = 0;
	__u32 way;

#pragma unroll
	for (way = 0; way < FLOW_WAYS; way++) {
		/* All ones where the tags are the same: of all 24-bit numbers, only 0 has a highest bit when 1 is taken away. */
		__u32 same = (__s64)((set->words[way] >> TAG_SHIFT ^ tag) - 1) >> 63;

		found = (found & ~same) | ((way + 1) & same);
	}
	return found;
}

/* The way for a new flow: one that is empty, else the one that was silent for longest. */
static __noinline __u32 choose_way(const struct flow_set *set, __u64 now)
{
	__u64 most = 0;
	__u32 way;

#pragma unroll
	for (way = 0; way < FLOW_WAYS; way++) {
		__u64 word = set->words[way];
		__u64 age = word ? silence(word, now) | way : ~0ULL << 3 | way;

		if (age > most)
			most = age;
	}
	return most & (FLOW_WAYS - 1);
}

/* The endpoint that a flow has, if that still is one. `owner->hash` is filled in either way. */
static __always_inline int known_owner(const struct client *client, const struct service *service, int opens, __u64 now,
				       struct owner *owner)
{
	struct endpoint *endpoint;
	struct flow_set *set;
	__u64 word;

	owner->hash = flow_hash(client, service);
	set = flow_set(owner->hash);
	if (!set)
		return 0;
	owner->way = find_way(set, flow_tag(owner->hash));
	if (!owner->way)
		return 0;
	word = *flow_place(set, owner->way - 1);
	if (silence(word, now) > service->flow_timeout_ns)
		return 0;
	owner->id = word >> ENDPOINT_SHIFT & ENDPOINT_MASK;
	endpoint = endpoint_of(owner->id, client->service);
	/* Dead, or another one in its place: the flow is lost. */
	if (!endpoint || (endpoint->generation & GENERATION_MASK) != (word >> GENERATION_SHIFT & GENERATION_MASK))
		return 0;
	/* A client's next connection from the same port is a new flow. */
	if (opens && endpoint->state == STATE_DRAINING)
		return 0;
	owner->endpoint = endpoint;
	owner->recorded = 1;
	/* A store that changes nothing would still take the line from other CPUs. */
	if (word != flow_word(owner, now))
		*flow_place(set, owner->way - 1) = flow_word(owner, now);
	return 1;
}

/* The endpoint that the ring gives, after `known_owner` found none. */
static __always_inline int ring_owner(const struct client *client, struct owner *owner)
{
	owner->id = ring_endpoint(client->service, spread_hash(owner->hash));
	owner->endpoint = endpoint_of(owner->id, client->service);
	return !!owner->endpoint;
}

static __always_inline void record(struct owner *owner, __u64 now)
{
	struct flow_set *set = flow_set(owner->hash);

	if (!set)
		return;
	*flow_place(set, owner->way ? owner->way - 1 : choose_way(set, now)) = flow_word(owner, now);
	owner->recorded = 1;
}

/* For packets of clients: remembers what it finds. 0: there is no endpoint. */
static __always_inline int find_owner(const struct client *client, const struct service *service, int opens, __u64 now,
				      struct owner *owner)
{
	if (known_owner(client, service, opens, now, owner))
		return 1;
	if (!ring_owner(client, owner))
		return 0;
	owner->fresh = 1;
	if (within_rate(now))
		record(owner, now);
	else
		count_reason(client->service, REASON_UNRECORDED);
	return 1;
}

#endif
