/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BALANCER_MAPS_H
#define PENSTOCK_BALANCER_MAPS_H

#include "balancer_structs.h"

const volatile struct balancer_config balancer_config = {};

/* All maps but .rodata are shared by the programs of all devices, and by successive versions of them. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct balancer_control);
} balancer_control SEC(".maps");

/* -> index of the service. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SERVICES_MAX);
	__type(key, struct vip);
	__type(value, __u32);
} balancer_vips SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct service);
} balancer_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct endpoint);
} balancer_endpoints SEC(".maps");

/* By size: clang gives no types behind the definition of an inner map. */
struct balancer_ring {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct ring));
};

/* By service. A new ring takes the place of the old one as a whole; services that are not there cost 8 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, SERVICES_MAX);
	__type(key, __u32);
	__array(values, struct balancer_ring);
} balancer_rings SEC(".maps");

/* One table for all CPUs, so that a flow whose packets come to another CPU keeps its endpoint. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_SETS);
	__type(key, __u32);
	__type(value, struct flow_set);
} balancer_flows SEC(".maps");

/* A list of ages for each CPU (BPF_F_NO_COMMON_LRU), since one list would be one lock for all new flows. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, RETURNS_MAX);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__type(key, struct return_key);
	__type(value, struct return_flow);
} balancer_returns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct next_hop);
} balancer_next_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rate);
} balancer_rates SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SERVICES_MAX);
	__type(key, __u32);
	__type(value, struct service_counters);
} balancer_service_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ENDPOINTS_MAX);
	__type(key, __u32);
	__type(value, struct endpoint_counters);
} balancer_endpoint_counters SEC(".maps");

#endif
