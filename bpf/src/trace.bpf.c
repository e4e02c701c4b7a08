// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/*
 * What happens to the connections of chosen listeners, measured where it happens: states, retransmits, resets, and
 * histograms of four times. Nothing of it is sent anywhere; user space reads sums, and events only while it follows.
 *
 *     SYN ── handshake ──▶ established ──▶ read, answered, read, answered … ──▶ closed
 *                               │             └ response ┘                        │
 *                               └────────────────── lifetime ──────────────────────┘ round trip, smoothed, at the end
 *
 * By BTF tracepoints, so there is no layout of the kernel's in here that a kernel could change unseen.
 */
#include "trace_helpers.h"

/* const struct sock *sk, const int oldstate, const int newstate */
SEC("tp_btf/inet_sock_set_state")
int trace_state(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	int old_state = (int)ctx[1];
	int new_state = (int)ctx[2];
	struct trace_socket *socket = traced(sk);
	struct trace_counts *counts;
	__u64 now = bpf_ktime_get_ns();
	__u32 round_trip;

	/* A listener that ends; what it was copied to begins in SYN_RECV. */
	if (!socket || (old_state == BPF_TCP_LISTEN && new_state != BPF_TCP_SYN_RECV) || new_state == BPF_TCP_LISTEN)
		return 0;
	counts = counts_of(socket);
	if (!counts || old_state < 0 || old_state >= STATES_MAX || new_state < 0 || new_state >= STATES_MAX)
		return 0;
	round_trip = round_trip_us(sk);
	if (old_state != BPF_TCP_LISTEN)
		counts->states[old_state] -= 1;
	if (new_state != BPF_TCP_CLOSE)
		counts->states[new_state] += 1;
	if (new_state == BPF_TCP_ESTABLISHED) {
		counts->opened += 1;
		socket->established_ns = now;
		/* All that is known of round trips by now is the handshake's. */
		record(socket, KIND_HANDSHAKE, round_trip);
	}
	if (new_state == BPF_TCP_CLOSE && socket->established_ns) {
		counts->closed += 1;
		record(socket, KIND_LIFETIME, (now - socket->established_ns) / 1000);
		record(socket, KIND_ROUND_TRIP, round_trip);
	}
	tell(sk, socket, EVENT_STATE, old_state, new_state, round_trip);
	return 0;
}

/* const struct sock *sk, const struct sk_buff *skb, ... */
SEC("tp_btf/tcp_retransmit_skb")
int trace_retransmit(__u64 *ctx)
{
	return count_event((struct sock *)ctx[0], EVENT_RETRANSMIT);
}

/* struct sock *sk */
SEC("tp_btf/tcp_receive_reset")
int trace_reset(__u64 *ctx)
{
	return count_event((struct sock *)ctx[0], EVENT_RESET);
}

/* struct sock *sk, int ret, int flags */
SEC("tp_btf/sock_recv_length")
int trace_received(__u64 *ctx)
{
	struct trace_socket *socket;

	if ((int)ctx[1] <= 0 || ((int)ctx[2] & MSG_PEEK))
		return 0;
	socket = traced((struct sock *)ctx[0]);
	if (socket)
		socket->received_ns = bpf_ktime_get_ns();
	return 0;
}

/* struct sock *sk, int ret, int flags. From the last bytes read to the first ones answered. */
SEC("tp_btf/sock_send_length")
int trace_sent(__u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	struct trace_socket *socket;
	__u64 us;

	if ((int)ctx[1] <= 0)
		return 0;
	socket = traced(sk);
	if (!socket || !socket->received_ns)
		return 0;
	us = (bpf_ktime_get_ns() - socket->received_ns) / 1000;
	socket->received_ns = 0;
	record(socket, KIND_RESPONSE, us);
	if (socket->slow_us && us >= socket->slow_us)
		tell(sk, socket, EVENT_SLOW_RESPONSE, 0, 0, us > 0xffffffff ? 0xffffffff : (__u32)us);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
