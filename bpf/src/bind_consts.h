/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BIND_CONSTS_H
#define PENSTOCK_BIND_CONSTS_H

/* linux/socket.h and linux/if_ether.h, which can't be included beside linux/bpf.h without the C library. */
#define AF_INET 2
#define AF_INET6 10
#define FRAME_HEADER_BYTES 14
#define IPV4_OFFSET bpf_htons(0x1fff)
#define IPV4_FRAGMENT bpf_htons(0x3fff)

/* Distinct prefixes and protocols of all bindings. 4096 x (24 + 776) is 3 MiB when all of them are there. */
#define PREFIXES_MAX 4096
/* Ranges of ports of one prefix, cut so that none overlap. A power of two, which the search depends on. */
#define RANGES_MAX 64
#define SEARCH_STEPS 6
/* A listener has two sockets at most, one a family. */
#define BINDINGS_MAX 256
#define SOCKETS_MAX (2 * BINDINGS_MAX)

/* Clients of UDP bindings whose answers get their source back, while there are no such bindings: user space makes it larger. */
#define ANSWERS_MIN 64

#define ACTION_BIND 1
#define ACTION_DENY 2
#define ACTION_LEAVE 3

/* Indices of struct bind_counts. */
#define COUNT_BOUND 0
#define COUNT_DENIED 1
#define COUNT_LAPSED 2
#define COUNT_NO_SOCKET 3
#define COUNT_REFUSED 4
#define COUNT_MENDED 5
#define COUNT_UNMENDED 6
#define COUNTERS_MAX 8

/* -1 in both worlds: the next program of a TCX chain, and for a clsact filter whatever comes after it. */
#define NEXT_PROGRAM -1

#endif
