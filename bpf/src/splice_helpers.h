/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_SPLICE_HELPERS_H
#define PENSTOCK_SPLICE_HELPERS_H

#include "splice_maps.h"

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

static __always_inline void count(__u32 what, __u64 amount)
{
	__u64 *counter = bpf_map_lookup_elem(&splice_counters, &what);

	if (counter)
		*counter += amount;
}

/* A sequence number as an offset in the stream; the lower half of it. */
static __always_inline __u32 stream_offset(const struct tcp_sock *tcp, __u32 sequence)
{
	return (__u32)tcp->bytes_received - (tcp->rcv_nxt - sequence);
}

static __always_inline __u32 sequence_of(struct __sk_buff *skb)
{
	struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);
	struct tcp_skb_cb *cb = (void *)kernel->cb;
	__u32 sequence = 0;

	bpf_probe_read_kernel(&sequence, sizeof(sequence), &cb->seq);
	return sequence;
}

struct cut {
	struct __sk_buff *skb;
	__u32 left;
};

/* bpf_loop: one step; 1 ends it. */
static long cut_some(__u32 step, struct cut *cut)
{
	__u32 bytes = cut->left > CUT_BYTES_MAX ? CUT_BYTES_MAX : cut->left;

	/* Without memory for it the stream has a fault, which the process finds when it counts, and resets both ends. */
	if (!bytes || bpf_skb_adjust_room(cut->skb, -(__s32)bytes, 0, 0))
		return 1;
	cut->left -= bytes;
	return 0;
}

/*
 * Takes off what was there before: a segment that was sent again, with more behind it, is queued as it came and given to us
 * whole (tcp_read_skb), whatever of it has been read. What is dropped is cut as well: its length is taken for bytes that were read.
 */
static __always_inline void cut_repeated(struct __sk_buff *skb, __s32 repeated)
{
	struct cut cut = { .skb = skb, .left = repeated };

	if (repeated <= 0)
		return;
	if (cut.left > skb->len)
		cut.left = skb->len;
	count(COUNT_REPEATED_BYTES, cut.left);
	bpf_loop(CUTS_MAX, cut_some, &cut, 0);
}

/* Whether there is room for more on the way to the peer. */
static __always_inline int has_room(__u64 *key, const struct splice_taken *taken, const struct splice_moved *moved)
{
	struct bpf_sock *peer = bpf_map_lookup_elem(&splice_sockets, key);
	struct tcp_sock *tcp;
	__u64 acked = 0;

	if (!peer)
		return 0;
	tcp = bpf_skc_to_tcp_sock(peer);
	if (tcp)
		acked = tcp->bytes_acked;
	bpf_sk_release(peer);
	return tcp && (__s64)(taken->sent_before + taken->bytes + moved->bytes - acked) < BACKLOG_MAX;
}

#endif
