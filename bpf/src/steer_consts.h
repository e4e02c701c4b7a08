/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_STEER_CONSTS_H
#define PENSTOCK_STEER_CONSTS_H

/* linux/socket.h and friends, which can't be included beside linux/bpf.h without the C library. */
#define AF_INET 2
#define AF_INET6 10
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOL_IP 0
#define SOL_IPV6 41
/* linux/netfilter_ipv4.h; netfilter_ipv6/ip6_tables.h has the same number. */
#define SO_ORIGINAL_DST 80

/* linux/if_ether.h */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
/* Verdicts of cgroup_skb programs. */
#define SKB_PASS 1

/*
 * Connections that are under way or open at a time before the oldest record goes. A record is needed from connect to
 * accept; later only getsockopt of other programs asks. 65536 x (20 + 20 + 48 of the hash) is 6 MiB.
 */
#define ORIGINALS_MAX 65536

/* Steering entries of one gateway. One page of leases. */
#define LEASES_MAX 512

/* cgroups nest no deeper than this where we look for the gateway's own among the ancestors. */
#define CGROUP_DEPTH_MAX 16

/* One bit for each destination port. */
#define PORT_WORDS (65536 / 64)

#define PROCEED 1

/* Indices of steer_counters. */
#define COUNT_REDIRECTED 0
#define COUNT_LEASE_EXPIRED 1
#define COUNT_EXEMPT 2
#define COUNT_UNRECORDED 3
/* A datagram socket that has another destination on record: this one is not steered. */
#define COUNT_SECOND 4
#define COUNTERS_MAX 5

#endif
