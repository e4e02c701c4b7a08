/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_INTERCEPTOR_CONSTS_H
#define PENSTOCK_INTERCEPTOR_CONSTS_H

/* One bit for each of 65536 ports. */
#define PORT_WORDS 1024
/* Interceptors of one gateway; a page of deadlines. */
#define LEASES_MAX 512

/* linux/if_ether.h and linux/if_packet.h can't be told apart from the rest here; both are ABI. */
#define PACKET_FOR_US 0
#define IPV4_FRAGMENT bpf_htons(0x3fff)
#define TCP_FLAGS_AT 13
#define TCP_SYN 0x02
#define TCP_ACK 0x10

/* -1 in both worlds: the next program of a TCX chain, and for a clsact filter whatever comes after it. */
#define NEXT_PROGRAM -1

/* Indices of interceptor_counters. */
#define COUNT_DIVERTED 0
#define COUNT_LEASE_EXPIRED 1
#define COUNT_NO_LISTENER 2
#define COUNT_ROUTED 3
#define COUNT_REFUSED 4
#define COUNTERS_MAX 5

#endif
