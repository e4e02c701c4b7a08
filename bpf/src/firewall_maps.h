/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_FIREWALL_MAPS_H
#define PENSTOCK_FIREWALL_MAPS_H

#include "firewall_consts.h"
#include "firewall_structs.h"

const volatile struct firewall_config firewall_config = {};

/* Of this device, over all CPUs. */
struct flood firewall_flood = {};

/* Prefix -> CLOCK_BOOTTIME nanoseconds at which the entry becomes void, 0: never. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u64);
} firewall_deny SEC(".maps");

/* The same; who is in it is never dropped. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u64);
} firewall_allow SEC(".maps");

/* Written before the program is attached, never after. A prefix of no bits is the default for both families. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, LIMITS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, struct limit);
} firewall_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LIMITS_MAX);
	__type(key, __u32);
	__type(value, struct bucket);
} firewall_buckets SEC(".maps");

/* The same number as in a bucket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LIMITED_SOURCES_MAX);
	__type(key, struct limited_source);
	__type(value, __u64);
} firewall_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} firewall_counters SEC(".maps");

#endif
