/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: gateway/worker/maps/kernel-sockmap.ts. And what is read of the kernel's own, found by name when loading. */
#ifndef PENSTOCK_SPLICE_STRUCTS_H
#define PENSTOCK_SPLICE_STRUCTS_H

#include "common.h"
#include "splice_consts.h"

/* Of a socket that is received from; written by the process alone. */
struct splice_taken {
	/* Bytes that the process has received from it, and that are in the kernel again, on their way to the peer. */
	__u64 bytes;
	/* What the peer had been sent beside those of this stream: what it acknowledges is counted from its own beginning. */
	__u64 sent_before;
};

/* Of a socket that is received from; written by the program alone, but for the first time. */
struct splice_moved {
	/* Bytes that went on in the kernel. */
	__u64 bytes;
	/* Offset in the stream behind all that the program was given; the lower half of it. */
	__u32 seen;
	/* `seen` is known. */
	__u32 begun;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct tcp_sock {
	__u64 bytes_received;
	__u64 bytes_acked;
	__u32 rcv_nxt;
	__u32 copied_seq;
};

struct sk_buff {
	char cb[48];
};

/* TCP_SKB_CB(skb) */
struct tcp_skb_cb {
	__u32 seq;
};

#pragma clang attribute pop

#endif
