/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: bpf/programs/steer and gateway/worker/maps/original-destinations.ts. */
#ifndef PENSTOCK_STEER_STRUCTS_H
#define PENSTOCK_STEER_STRUCTS_H

#include "common.h"

/* One end of a conversation, 20 bytes, all of which are part of a hash key. */
struct endpoint {
	struct ip_address ip;
	__be16 port;
	/* Of keys of steer_originals: IPPROTO_UDP, or 0 for TCP. Elsewhere 0. */
	__u16 protocol;
};

/* What connect leaves on the socket: where it wanted to go, and where it was sent instead. */
struct pending {
	struct endpoint original;
	struct endpoint listener;
};

/*
 * The same for a datagram socket. It has one destination on record, from its first datagram to its close: whoever gets
 * its datagrams knows it by its own end alone.
 */
struct datagrams {
	struct pending pending;
	/* Its own end, as the record in steer_originals has it; port 0: there is no record yet. */
	struct endpoint source;
};

/* Set once, before the program is loaded: a change of configuration replaces the program. */
struct steer_config {
	/* Where IPv4 and IPv6 connections go; port 0: that family is left alone. */
	struct endpoint listener4;
	struct endpoint listener6;
	/* The gateway's own cgroup, 0: it has none of its own. */
	__u64 gateway_cgroup;
	/* The network namespace in which the listener can be reached, by its cookie. */
	__u64 netns_cookie;
	/* Sockets with this mark are left alone; 0: marks mean nothing. */
	__u32 exempt_mark;
	/* Index into steer_leases. */
	__u32 lease;
	/* Of the listener: IPPROTO_TCP or IPPROTO_UDP. The other one is left alone. */
	__u32 protocol;
};

#endif
