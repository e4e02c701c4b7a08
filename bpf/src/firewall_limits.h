/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
/* Token buckets: how many packets a second a prefix, or each source in it, may send. */
#ifndef PENSTOCK_FIREWALL_LIMITS_H
#define PENSTOCK_FIREWALL_LIMITS_H

#include "firewall_helpers.h"

/*
 * Takes a token. 0: there is none. Whoever loses the race with other CPUs this often does so to as many packets that
 * were let through in the meantime: tens of millions a second, which is above any limit.
 */
static __always_inline int take(__u64 *full_at, const struct limit *limit)
{
	__u64 now = bpf_ktime_get_boot_ns();
	int i;

#pragma unroll
	for (i = 0; i < TAKE_ATTEMPTS; i++) {
		__u64 was = *(volatile __u64 *)full_at;
		__u64 from = was > now ? was : now;

		if (from - now > limit->depth_ns)
			return 0;
		if (__sync_val_compare_and_swap(full_at, was, from + limit->interval_ns) == was)
			return 1;
	}
	return 0;
}

/* The bucket of a source; a new one is full. 0: there is no room, which an LRU has unless all of it is busy. */
static __always_inline __u64 *bucket_of(const struct limit *limit, const struct prefix *source)
{
	struct limited_source key = { .bucket = limit->bucket, .ip = source->ip };
	__u64 full = 0;
	__u64 *full_at;

	if (!address_is_v4(&key.ip)) {
		key.ip.word[2] = 0;
		key.ip.word[3] = 0;
	}
	full_at = bpf_map_lookup_elem(&firewall_sources, &key);
	if (full_at)
		return full_at;
	/* Another CPU may have been first: its bucket stays. */
	bpf_map_update_elem(&firewall_sources, &key, &full, BPF_NOEXIST);
	return bpf_map_lookup_elem(&firewall_sources, &key);
}

/* The longest prefix decides, alone: a packet is never charged twice. */
static __always_inline int over_limit(const struct prefix *source)
{
	const struct limit *limit = bpf_map_lookup_elem(&firewall_limits, source);
	struct bucket *bucket;
	__u64 *full_at;
	__u32 index;

	if (!limit)
		return 0;
	if (limit->each_source) {
		full_at = bucket_of(limit, source);
		return full_at && !take(full_at, limit);
	}
	index = limit->bucket;
	bucket = bpf_map_lookup_elem(&firewall_buckets, &index);
	return bucket && !take(&bucket->full_at, limit);
}

#endif
