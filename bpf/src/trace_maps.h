/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_TRACE_MAPS_H
#define PENSTOCK_TRACE_MAPS_H

#include "trace_structs.h"

/* CLOCK_BOOTTIME until which somebody follows; events are made only until then. Written by user space through its mapping. */
volatile __u64 trace_follow_until_ns = 0;

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct trace_socket);
} trace_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LISTENERS_MAX);
	__type(key, __u32);
	__type(value, struct trace_counts);
} trace_counts SEC(".maps");

/* Of listener l and kind k at l * KINDS_MAX + k. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LISTENERS_MAX * KINDS_MAX);
	__type(key, __u32);
	__type(value, struct trace_histogram);
} trace_histograms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} trace_events SEC(".maps");

#endif
