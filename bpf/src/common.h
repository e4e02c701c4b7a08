/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/*
 * What every program of the gateway includes first. Only uapi headers and libbpf's helpers: no vmlinux.h, so the
 * objects build the same on any Debian 12 and need no relocation by kernel types.
 */
#ifndef PENSTOCK_COMMON_H
#define PENSTOCK_COMMON_H

#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

/* Addresses of both families are 16 bytes here, IPv4 as ::ffff:a.b.c.d, so that one map serves both. */
struct ip_address {
	__be32 word[4];
};

#define MAPPED_PREFIX bpf_htonl(0x0000ffff)
#define MAPPED_PREFIX_BITS 96

static __always_inline void address_from_v4(struct ip_address *to, __be32 v4)
{
	to->word[0] = 0;
	to->word[1] = 0;
	to->word[2] = MAPPED_PREFIX;
	to->word[3] = v4;
}

static __always_inline int address_is_v4(const struct ip_address *address)
{
	return address->word[0] == 0 && address->word[1] == 0 && address->word[2] == MAPPED_PREFIX;
}

#endif
