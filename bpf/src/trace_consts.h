/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_TRACE_CONSTS_H
#define PENSTOCK_TRACE_CONSTS_H

#define AF_INET6 10
/* include/linux/socket.h */
#define MSG_PEEK 2

/* 64 x 4 x (28 + 2) words are 60 KiB for each CPU. */
#define LISTENERS_MAX 64

/* One histogram of each listener. */
#define KIND_HANDSHAKE 0
#define KIND_RESPONSE 1
#define KIND_ROUND_TRIP 2
#define KIND_LIFETIME 3
#define KINDS_MAX 4

/* Bucket n counts what took less than 2^n microseconds; the last one, from 67 s on, all the rest. */
#define BUCKETS_MAX 28

/* enum tcp_state: TCP_ESTABLISHED .. TCP_NEW_SYN_RECV, and 0 for none. */
#define STATES_MAX 13

#define EVENT_STATE 1
#define EVENT_RETRANSMIT 2
#define EVENT_SLOW_RESPONSE 3
#define EVENT_RESET 4

/* Some 4600 events that nobody has read yet. */
#define EVENTS_BYTES (256 * 1024)

#endif
