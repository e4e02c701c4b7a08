/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: bpf/programs/counter. */
#ifndef PENSTOCK_COUNTER_STRUCTS_H
#define PENSTOCK_COUNTER_STRUCTS_H

#include "common.h"

struct traffic {
	__u64 packets;
	/* From the Ethernet header on, without what comes after the packet. */
	__u64 bytes;
};

struct counter_config {
	/* COUNT_BY_SOURCE or COUNT_BY_PORT. */
	__u32 by;
	/* What is kept of a source; the rest counts as zero. Of IPv4, and of the 128 bits of IPv6. */
	__be32 mask_v4;
	struct ip_address mask_v6;
};

#endif
