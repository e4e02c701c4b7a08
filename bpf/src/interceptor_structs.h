/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: bpf/programs/interceptor. */
#ifndef PENSTOCK_INTERCEPTOR_STRUCTS_H
#define PENSTOCK_INTERCEPTOR_STRUCTS_H

#include "common.h"

/* Where a listener is; port 0: it has no address of that family, which is then left alone. */
struct listener {
	struct ip_address ip;
	__be16 port;
	__u16 zero;
};

/* Set once, before the program is loaded: a change of configuration replaces the program. */
struct interceptor_config {
	struct listener listener4;
	struct listener listener6;
	/* Index into interceptor_leases. */
	__u32 lease;
};

/* Of a segment: what is needed to judge it. Addresses stay in the packet's own form in `tuple`. */
struct segment {
	struct bpf_sock_tuple tuple;
	__u32 tuple_bytes;
	__u8 v4;
	__u8 flags;
};

#endif
