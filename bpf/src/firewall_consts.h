/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_FIREWALL_CONSTS_H
#define PENSTOCK_FIREWALL_CONSTS_H

/* As declared; the gateway puts its own map, of the size the operator chose, in this one's place. */
#define PREFIXES_MAX 65536

#define LIMITS_MAX 1024
/* Sources that a limit for each source tells apart at a time; who has not been heard of for longest is forgotten. */
#define LIMITED_SOURCES_MAX 65536
/* Tries to take from a bucket that other CPUs take from at the same time. */
#define TAKE_ATTEMPTS 8

/* A flood is over when a whole second and more had fewer SYNs than the threshold. */
#define FLOOD_NS 2000000000ULL
#define SECOND_NS 1000000000ULL

/* Indices of firewall_counters: why a packet passed, was dropped, or was answered. */
#define COUNT_PASSED 0
#define COUNT_DENIED 1
#define COUNT_EXPIRED 2
#define COUNT_NOT_IP 3
#define COUNT_ALLOWED 4
#define COUNT_LIMITED 5
#define COUNT_COOKIE_SENT 6
#define COUNT_COOKIE_VALID 7
#define COUNT_COOKIE_INVALID 8
#define COUNT_COOKIE_REFUSED 9
#define COUNT_SYN_UNUSUAL 10
#define COUNTERS_MAX 11

#endif
