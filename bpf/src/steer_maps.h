/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_STEER_MAPS_H
#define PENSTOCK_STEER_MAPS_H

#include "steer_consts.h"
#include "steer_structs.h"

const volatile struct steer_config steer_config = {};
const volatile __u64 steer_ports[PORT_WORDS] = {};

/*
 * Where a socket wanted to go, from connect until its SYN is built. Lives and dies with the socket, so it can neither
 * leak nor run full. Shared by all steering entries and by successive versions of the programs.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct pending);
} steer_pending SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct datagrams);
} steer_datagrams SEC(".maps");

/* The client's own end -> where it wanted to go. The gateway looks its peer up here. Shared likewise. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, ORIGINALS_MAX);
	__type(key, struct endpoint);
	__type(value, struct endpoint);
} steer_originals SEC(".maps");

/* CLOCK_BOOTTIME until which the gateway vouches for itself; it renews through its mapping, without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LEASES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} steer_leases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} steer_counters SEC(".maps");

#endif
