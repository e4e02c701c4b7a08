/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_COUNTER_HELPERS_H
#define PENSTOCK_COUNTER_HELPERS_H

#include "counter_maps.h"

static __always_inline void add(struct traffic *traffic, __u64 packets, __u64 bytes)
{
	traffic->packets += packets;
	traffic->bytes += bytes;
}

static __always_inline void count_other(__u32 what, __u64 packets, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&counter_other, &what);

	if (traffic)
		add(traffic, packets, bytes);
}

/*
 * A new entry is made only if it still is one (BPF_NOEXIST): another CPU may have made it since the first look, and an
 * update that replaced its entry would take that CPU's count with it.
 */
static __always_inline void count_entry(const struct ip_address *key, __u64 packets, __u64 bytes)
{
	struct traffic *traffic = bpf_map_lookup_elem(&counter_sources, key);
	struct traffic first = { .packets = packets, .bytes = bytes };

	if (!traffic) {
		if (!bpf_map_update_elem(&counter_sources, key, &first, BPF_NOEXIST))
			return;
		traffic = bpf_map_lookup_elem(&counter_sources, key);
	}
	if (traffic)
		add(traffic, packets, bytes);
	else
		count_other(OTHER_NO_ROOM, packets, bytes);
}

/* Takes away the bits of a source that do not count. */
static __always_inline void mask_source(struct ip_address *source)
{
	int i;

	if (address_is_v4(source)) {
		source->word[3] &= counter_config.mask_v4;
		return;
	}
#pragma unroll
	for (i = 0; i < 4; i++)
		source->word[i] &= counter_config.mask_v6.word[i];
}

/* The key of a port: see counter_sources. */
static __always_inline void key_of_port(struct ip_address *key, __u8 protocol, __be16 port)
{
	key->word[0] = 0;
	key->word[1] = 0;
	key->word[2] = protocol;
	key->word[3] = bpf_ntohs(port);
}

static __always_inline int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

#endif
