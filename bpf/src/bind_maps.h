/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BIND_MAPS_H
#define PENSTOCK_BIND_MAPS_H

#include "bind_structs.h"

/* Filled once, before the program that reads it is attached: a change brings a new one. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PREFIXES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct bind_prefix);
	__type(value, struct bind_ranges);
} bind_prefixes SEC(".maps");

/* Listening sockets: by twice the binding, and one more for IPv6. A socket that is closed leaves by itself. */
struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} bind_sockets SEC(".maps");

/* Where those sockets are bound, for answers. Indices as in bind_sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SOCKETS_MAX);
	__type(key, __u32);
	__type(value, struct bind_listener);
} bind_listeners SEC(".maps");

/* CLOCK_BOOTTIME until which the gateway vouches for itself, by binding. Shared by successive versions. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BINDINGS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} bind_leases SEC(".maps");

/* Shared by successive versions, so that a change breaks off no conversation. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ANSWERS_MIN);
	__type(key, struct bind_client);
	__type(value, struct bind_answer);
} bind_answers SEC(".maps");

/* By binding: an entry for each counter would be as many allocations on every CPU, and take a tenth of a second. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, BINDINGS_MAX);
	__type(key, __u32);
	__type(value, struct bind_counts);
} bind_counters SEC(".maps");

#endif
