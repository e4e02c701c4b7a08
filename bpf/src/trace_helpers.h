/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_TRACE_HELPERS_H
#define PENSTOCK_TRACE_HELPERS_H

#include "trace_maps.h"

/* Null for every socket of the machine that is no traced listener's connection: the only thing that those pay for. */
static __always_inline struct trace_socket *traced(struct sock *sk)
{
	return bpf_sk_storage_get(&trace_sockets, sk, 0, 0);
}

static __always_inline struct trace_counts *counts_of(const struct trace_socket *socket)
{
	__u32 index = socket->listener;

	return bpf_map_lookup_elem(&trace_counts, &index);
}

/* How many bits a number of microseconds takes: the bucket whose bound, 2^bits, is the first above it. */
static __always_inline __u32 bucket_of(__u64 us)
{
	__u32 bucket = 0;
	int step;

#pragma unroll
	for (step = 16; step; step >>= 1)
		if (us >> (bucket + step))
			bucket += step;
	/* `bucket` is the highest bit's place: one less than the bits, and 0 for 0 and 1. */
	bucket += !!us;
	return bucket < BUCKETS_MAX ? bucket : BUCKETS_MAX - 1;
}

static __always_inline void record(const struct trace_socket *socket, __u32 kind, __u64 us)
{
	__u32 index = socket->listener * KINDS_MAX + kind;
	struct trace_histogram *histogram = bpf_map_lookup_elem(&trace_histograms, &index);
	__u32 bucket = bucket_of(us);

	if (!histogram || bucket >= BUCKETS_MAX)
		return;
	/* Each CPU has its own; what interrupts us on it may cost one count. */
	histogram->buckets[bucket] += 1;
	histogram->sum_us += us;
	histogram->count += 1;
}

/* Smoothed, as the kernel has it in eighths; 0: not measured, or no TCP. */
static __always_inline __u32 round_trip_us(struct sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->srtt_us >> 3 : 0;
}

static __always_inline void put_ends(struct trace_event *event, struct sock *sk)
{
	event->local_port = sk->__sk_common.skc_num;
	event->remote_port = bpf_ntohs(sk->__sk_common.skc_dport);
	if (sk->__sk_common.skc_family == AF_INET6) {
		bpf_probe_read_kernel(&event->local, sizeof(event->local), &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(&event->remote, sizeof(event->remote), &sk->__sk_common.skc_v6_daddr);
		return;
	}
	address_from_v4(&event->local, sk->__sk_common.skc_rcv_saddr);
	address_from_v4(&event->remote, sk->__sk_common.skc_daddr);
}

/* Tells of it, if anybody listens. */
static __always_inline void tell(struct sock *sk, const struct trace_socket *socket, __u8 kind, __u8 old_state,
				 __u8 new_state, __u32 value_us)
{
	struct trace_counts *counts;
	struct trace_event *event;

	if (bpf_ktime_get_boot_ns() >= trace_follow_until_ns)
		return;
	event = bpf_ringbuf_reserve(&trace_events, sizeof(*event), 0);
	if (!event) {
		counts = counts_of(socket);
		if (counts)
			counts->lost += 1;
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->ns = bpf_ktime_get_boot_ns();
	event->listener = socket->listener;
	event->kind = kind;
	event->old_state = old_state;
	event->new_state = new_state;
	event->value_us = value_us;
	put_ends(event, sk);
	bpf_ringbuf_submit(event, 0);
}

/* What is counted each time that it happens. */
static __always_inline int count_event(struct sock *sk, __u8 kind)
{
	struct trace_socket *socket = traced(sk);
	struct trace_counts *counts;

	if (!socket)
		return 0;
	counts = counts_of(socket);
	if (counts && kind == EVENT_RETRANSMIT)
		counts->retransmits += 1;
	else if (counts)
		counts->resets_received += 1;
	tell(sk, socket, kind, 0, 0, kind == EVENT_RETRANSMIT ? round_trip_us(sk) : 0);
	return 0;
}

#endif
