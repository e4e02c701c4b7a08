/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Layouts shared with user space: the key `ip-prefix` and the value `expiry` of gateway/core/map-codec.ts. */
#ifndef PENSTOCK_FIREWALL_STRUCTS_H
#define PENSTOCK_FIREWALL_STRUCTS_H

#include "common.h"

struct prefix {
	/* Bits that count, of 128; an IPv4 /24 is 96 + 24. */
	__u32 bits;
	struct ip_address ip;
};

struct firewall_config {
	/* Whether firewall_allow is asked before firewall_deny. */
	__u32 use_allow_list;
};

#endif
