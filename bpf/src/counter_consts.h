/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_COUNTER_CONSTS_H
#define PENSTOCK_COUNTER_CONSTS_H

/* As declared; the gateway makes it as large as the operator chose. Each is an allocation of its own on every CPU: 1 us. */
#define SOURCES_MAX 16384

#define COUNT_BY_SOURCE 0
#define COUNT_BY_PORT 1

/* Indices of counter_other: what has no entry of its own. */
#define OTHER_NOT_IP 0
#define OTHER_NO_ROOM 1
#define OTHER_NO_PORT 2
#define OTHERS_MAX 3

#endif
