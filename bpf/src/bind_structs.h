/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: bpf/programs/bind. */
#ifndef PENSTOCK_BIND_STRUCTS_H
#define PENSTOCK_BIND_STRUCTS_H

#include "bind_consts.h"
#include "common.h"

/* `bits`: 32 of the protocol, and those of the address, IPv4 being mapped. */
struct bind_prefix {
	__u32 bits;
	__u32 protocol;
	struct ip_address ip;
};

/* Host order, both ends included. */
struct bind_range {
	__u16 first;
	__u16 last;
	/* Index of the binding: its counters, its lease, and twice that its sockets. */
	__u16 binding;
	__u8 action;
	/* What becomes of it when the binding has no socket or no lease: 0 whoever listens gets it, 1 it is refused. */
	__u8 closed;
};

/* What is decided for a prefix, shorter prefixes that hold it included: one lookup says it all. Sorted, none overlap. */
struct bind_ranges {
	__u32 count;
	__u32 zero;
	struct bind_range range[RANGES_MAX];
};

/* An end of a UDP conversation, and the listener's port that the answers come from. Padding is always 0: it is hashed. */
struct bind_client {
	struct ip_address ip;
	__be16 port;
	__be16 listener_port;
};

/* Where the client sent to. */
struct bind_answer {
	struct ip_address ip;
	/* Of the listener; all zeros: it is bound to every address. */
	struct ip_address listener;
	__be16 port;
	__u16 binding;
};

/* Each CPU has its own; by COUNT_*. */
struct bind_counts {
	__u64 of[COUNTERS_MAX];
};

/* Where a socket is bound. */
struct bind_listener {
	struct ip_address ip;
	__be16 port;
	__u16 zero;
};
#endif
