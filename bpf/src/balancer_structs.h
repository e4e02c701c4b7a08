/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space, which reads them from this object's BTF: bpf/programs/balancer/maps.ts. */
#ifndef PENSTOCK_BALANCER_STRUCTS_H
#define PENSTOCK_BALANCER_STRUCTS_H

#include "balancer_consts.h"
#include "common.h"

/* What clients ask for. Padding of keys is always 0: it is hashed. */
struct vip {
	struct ip_address address;
	__be16 port;
	__u8 protocol;
	__u8 zero;
};

struct service {
	struct ip_address address;
	/* Bits of the devices on which it is served: balancer_config.device of the program there. */
	__u64 devices;
	/* A flow that was silent for longer is a new one. */
	__u64 flow_timeout_ns;
	__be16 port;
	__u8 protocol;
	/* MODE_* */
	__u8 mode;
	__u32 zero;
};

/*
 * Its place is used again for another endpoint, or for the same one after it was dead: `generation` tells flows of the
 * former from those of the latter. User space writes `state` last.
 */
struct endpoint {
	struct ip_address address;
	/* DSR: the outer source. NAT: what the endpoint takes for the client. */
	struct ip_address source;
	/* DSR: bits of the last word of `source` that the flow's hash fills in, so that the endpoint's card spreads flows. */
	__be32 source_mask;
	__u32 generation;
	/* NAT: where it listens. */
	__be16 port;
	/* NAT: source ports, in host order. */
	__u16 port_first;
	__u16 port_count;
	__u16 service;
	/* STATE_* */
	__u32 state;
};

struct ring {
	/* Index into balancer_endpoints; 0: nobody. */
	__u16 endpoints[RING_SLOTS];
};

/*
 * A flow is one word, which is read and written at once, so no CPU meets half of one and none waits for another:
 *
 *      63     40 39          32 31        20 19    0
 *     [   tag   |  generation  |  endpoint  |  seen  ]        balancer_flow.h
 *
 * Index of the set and tag are 40 bits of the flow's hash. Two flows that agree in them share their endpoint, which hurts neither.
 */
struct flow_set {
	__u64 words[FLOW_WAYS];
};

/* NAT: what comes back from an endpoint, `port` being its own and `nat_port` ours. */
struct return_key {
	struct ip_address endpoint;
	__be16 port;
	__be16 nat_port;
	__u8 protocol;
	__u8 zero[3];
};

struct return_flow {
	__u64 seen_ns;
	struct ip_address client;
	__be16 port;
	__u16 service;
	__u32 endpoint;
	__u32 generation;
	__u32 zero;
};

/* Towards an endpoint, as the routing table said at some time; each CPU asks for itself. */
struct next_hop {
	__u64 until_ns;
	__u32 generation;
	__u32 ifindex;
	__u16 mtu;
	__u8 destination[6];
	__u8 source[6];
	__u16 zero;
};

struct rate {
	__u64 window_ns;
	__u64 flows;
};

/* Each CPU has its own. Towards endpoints; NAT: `return_*` is what came back. */
struct service_counters {
	__u64 packets;
	__u64 bytes;
	__u64 flows;
	__u64 return_packets;
	__u64 return_bytes;
	__u64 reasons[REASONS_MAX];
};

struct endpoint_counters {
	__u64 packets;
	__u64 bytes;
	__u64 flows;
};

/* For all devices; changed while packets pass. */
struct balancer_control {
	/* Whether any service is in NAT mode: only then is every packet looked up as something that comes back. */
	__u32 nat;
	/* New flows a second and CPU that are remembered, so that a flood of them does not wipe out the others. */
	__u32 flows_per_second;
};

/* Set once, before the program is loaded. */
struct balancer_config {
	/* Bit of the device that this program is for. */
	__u64 device;
};

#endif
