/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_INTERCEPTOR_MAPS_H
#define PENSTOCK_INTERCEPTOR_MAPS_H

#include "interceptor_consts.h"
#include "interceptor_structs.h"

const volatile struct interceptor_config interceptor_config = {};
const volatile __u64 interceptor_ports[PORT_WORDS] = {};

/* CLOCK_BOOTTIME until which the gateway vouches for itself; it renews through its mapping, without a system call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, LEASES_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64);
} interceptor_leases SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} interceptor_counters SEC(".maps");

#endif
