/* SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause) */
#ifndef PENSTOCK_BALANCER_COUNT_H
#define PENSTOCK_BALANCER_COUNT_H

#include "balancer_maps.h"

/* Counters are each CPU's own: nobody else writes them. */
static __always_inline void count_reason(__u32 service, __u32 reason)
{
	struct service_counters *counters = bpf_map_lookup_elem(&balancer_service_counters, &service);

	if (counters && reason < REASONS_MAX)
		counters->reasons[reason] += 1;
}

static __always_inline int drop_for(__u32 service, __u32 reason)
{
	count_reason(service, reason);
	return XDP_DROP;
}

/* `flows`: 1 for the first packet of one, else 0. */
static __always_inline void count_packet(__u32 service, __u32 endpoint, __u16 bytes, __u32 flows)
{
	struct service_counters *counters = bpf_map_lookup_elem(&balancer_service_counters, &service);
	struct endpoint_counters *its = bpf_map_lookup_elem(&balancer_endpoint_counters, &endpoint);

	if (counters) {
		counters->packets += 1;
		counters->bytes += bytes;
		counters->flows += flows;
	}
	if (its) {
		its->packets += 1;
		its->bytes += bytes;
		its->flows += flows;
	}
}

static __always_inline void count_return(__u32 service, __u16 bytes)
{
	struct service_counters *counters = bpf_map_lookup_elem(&balancer_service_counters, &service);

	if (counters) {
		counters->return_packets += 1;
		counters->return_bytes += bytes;
	}
}

#endif
