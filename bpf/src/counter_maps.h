/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_COUNTER_MAPS_H
#define PENSTOCK_COUNTER_MAPS_H

#include "counter_consts.h"
#include "counter_structs.h"

const volatile struct counter_config counter_config = {};

/*
 * The network a packet comes from, or the port it is for, as { 0, 0, protocol, port } in this machine's numbers -> what
 * came. Who has not been heard of for longest makes room. One list of ages for all CPUs (no BPF_F_NO_COMMON_LRU): a
 * source that one CPU is busy with is not forgotten by another.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, SOURCES_MAX);
	__type(key, struct ip_address);
	__type(value, struct traffic);
} counter_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, OTHERS_MAX);
	__type(key, __u32);
	__type(value, struct traffic);
} counter_other SEC(".maps");

#endif
