/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_FIREWALL_CONSTS_H
#define PENSTOCK_FIREWALL_CONSTS_H

/* As declared; the gateway puts its own map, of the size the operator chose, in this one's place. */
#define PREFIXES_MAX 65536

/* Indices of firewall_counters. */
#define COUNT_PASSED 0
#define COUNT_DROPPED 1
#define COUNT_EXPIRED 2
#define COUNT_NOT_IP 3
#define COUNT_ALLOWED 4
#define COUNTERS_MAX 5

#endif
