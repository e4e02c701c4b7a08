/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: the key `ip-prefix` and the value `expiry` of gateway/core/map-codec.ts; limits.ts. */
#ifndef PENSTOCK_FIREWALL_STRUCTS_H
#define PENSTOCK_FIREWALL_STRUCTS_H

#include "common.h"

struct prefix {
	/* Bits that count, of 128; an IPv4 /24 is 96 + 24. */
	__u32 bits;
	struct ip_address ip;
};

struct firewall_config {
	/* Whether firewall_allow is asked before firewall_deny. */
	__u32 use_allow_list;
	/* Whether firewall_limits holds anything. */
	__u32 use_limits;
	/* SYNs a second on this device above which they are answered with cookies; 0: never. */
	__u32 syns_per_second;
};

/* A rate: one packet every `interval_ns`, and as many at once as fit into `depth_ns`. */
struct limit {
	__u64 interval_ns;
	__u64 depth_ns;
	/* Index into firewall_buckets. */
	__u32 bucket;
	/* Each source has a bucket of its own: an IPv4 address, or an IPv6 /64. */
	__u32 each_source;
};

/*
 * A token bucket as one number: the time at which it would be full again (the theoretical arrival time of GCRA, ITU-T
 * I.371). So a compare-and-swap takes a token, and no lock is held. A cache line each.
 */
struct bucket {
	__u64 full_at;
	__u64 padding[7];
};

struct limited_source {
	__u32 bucket;
	struct ip_address ip;
};

/* How many SYNs this second, and until when it counts as a flood. Boot time. */
struct flood {
	__u64 second;
	__u64 syns;
	__u64 until_ns;
};

#endif
