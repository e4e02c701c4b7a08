/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BALANCER_CONSTS_H
#define PENSTOCK_BALANCER_CONSTS_H

/* linux/socket.h, which can't be included beside linux/bpf.h without the C library. */
#define AF_INET 2
#define AF_INET6 10

/* Prime, and a hundred times the endpoints of a large service: shares are then right within a percent. */
#define RING_SLOTS 65537

/* Indices below; 0 is no service and no endpoint. bpf/programs/balancer/layout.ts has the same numbers. */
#define SERVICES_MAX 256
#define ENDPOINTS_MAX 4096

/* Flows remembered: 65536 sets of 8 words, a cache line each, are 4 MiB. A full set forgets who was silent for longest. */
#define FLOW_SETS 65536
#define FLOW_WAYS 8
/* Flows of services in NAT mode, by their far end: 65536 x (24 + 40 + 64) is 8 MiB. */
#define RETURNS_MAX 65536

#define MODE_DSR 0
#define MODE_NAT 1

/* Of an endpoint. Draining: its flows stay, new ones go elsewhere. */
#define STATE_NONE 0
#define STATE_ACTIVE 1
#define STATE_DRAINING 2

/* Ports that a flow may have in NAT mode. With nine tenths of all of them taken, 1 flow in 5 finds none. */
#define PORT_ATTEMPTS 16

/*
 * How long a next hop is used without asking the routing table again: a lookup costs as much as all the rest, and
 * nobody notices that a changed route holds for a tenth of a second more.
 */
#define NEXT_HOP_NS (100 * 1000 * 1000ULL)

/* The unit of `seen`, 0.13 s: 20 bits of them are 39 hours, and a service's timeout is a day at most. */
#define SEEN_SHIFT 27

/* New flows are counted, on each CPU, by the second. */
#define RATE_WINDOW_NS (1000 * 1000 * 1000ULL)

#define OUTER_TTL 64

/* linux/ip.h and netinet/ip_icmp.h have these for user space only. */
#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1fff
#define IPV6_NEXT_FRAGMENT 44
/* RFC 792, RFC 1191 */
#define ICMP_UNREACHABLE 3
#define ICMP_FRAGMENTATION_NEEDED 4
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER 12
/* RFC 4443 section 2.1: errors have the high bit clear. */
#define ICMPV6_TOO_BIG 2
#define ICMPV6_FIRST_QUERY 128
#define IPV6_MTU_MIN 1280

/*
 * What of a packet is quoted back when it is too big. Both are less than any such packet has. IPv4: the largest header and
 * the 8 bytes that RFC 792 asks for; IPv6: the header and as much of TCP as there can be.
 */
#define QUOTE_V4_BYTES 68
#define QUOTE_V6_BYTES 100

/* Reasons: why a packet of a service was not simply sent on. Indices of service_counters.reasons. */
#define REASON_NO_ENDPOINT 0
#define REASON_FRAGMENT 1
#define REASON_TTL 2
#define REASON_TOO_BIG 3
#define REASON_TOO_BIG_DROPPED 4
#define REASON_NO_ROUTE 5
#define REASON_NO_NEIGHBOUR 6
#define REASON_FORWARDING_OFF 7
#define REASON_NO_PORT 8
#define REASON_UNRECORDED 9
#define REASON_ICMP_ERROR 10
#define REASON_MANGLED 11
#define REASONS_MAX 12

#endif
