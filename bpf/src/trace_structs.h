/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: bpf/programs/trace. And what is read of the kernel's own, found by name when loading. */
#ifndef PENSTOCK_TRACE_STRUCTS_H
#define PENSTOCK_TRACE_STRUCTS_H

#include "common.h"
#include "trace_consts.h"

/*
 * On a socket. User space puts it on those that listen; the kernel copies it to every connection that they accept, so a
 * connection knows its listener whatever address and port it came to.
 */
struct trace_socket {
	/* CLOCK_MONOTONIC; 0: not yet. */
	__u64 established_ns;
	/* Of bytes that have been read and not been answered yet; 0: none. */
	__u64 received_ns;
	/* Index of the listener. */
	__u32 listener;
	/* Responses that take longer are told of; 0: none. */
	__u32 slow_us;
};

struct trace_histogram {
	__u64 buckets[BUCKETS_MAX];
	__u64 sum_us;
	__u64 count;
};

/* Of a listener. Each CPU has its own; a connection that comes to another CPU leaves a negative number here and there. */
struct trace_counts {
	__u64 opened;
	__u64 closed;
	__u64 retransmits;
	__u64 resets_received;
	/* Events that found no room in the ring. */
	__u64 lost;
	__s64 states[STATES_MAX];
};

struct trace_event {
	__u64 ns;
	struct ip_address local;
	struct ip_address remote;
	/* Host order, both. */
	__u16 local_port;
	__u16 remote_port;
	__u16 listener;
	/* EVENT_* */
	__u8 kind;
	__u8 old_state;
	__u8 new_state;
	__u8 zero[3];
	/* Of a state: the round trip; of a slow response: how long it took. */
	__u32 value_us;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	__u16 skc_family;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sock {
	struct sock_common __sk_common;
};

struct tcp_sock {
	__u32 srtt_us;
};

#pragma clang attribute pop

#endif
