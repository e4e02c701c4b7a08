// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* Values that hold a lock or a timer: the kernel finds those by the types that come with the map. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct guarded {
	struct bpf_spin_lock lock;
	__u32 low;
	__u32 high;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct guarded);
} pairs SEC(".maps");

struct alarm {
	__u64 rung;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct alarm);
} alarms SEC(".maps");

__u64 last_rung;

SEC("xdp")
int raises_both(struct xdp_md *ctx)
{
	__u32 key = 1;
	struct guarded *pair = bpf_map_lookup_elem(&pairs, &key);

	if (!pair)
		return XDP_ABORTED;
	bpf_spin_lock(&pair->lock);
	pair->low += 1;
	pair->high += 1;
	bpf_spin_unlock(&pair->lock);
	return XDP_PASS;
}

static int ring(void *map, __u32 *key, struct alarm *alarm)
{
	alarm->rung += 1;
	last_rung = alarm->rung;
	return 0;
}

SEC("xdp")
int sets_alarm(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct alarm *alarm = bpf_map_lookup_elem(&alarms, &key);

	if (!alarm)
		return XDP_ABORTED;
	/* Of CLOCK_MONOTONIC. Once it is set up, it stays so. */
	bpf_timer_init(&alarm->timer, &alarms, 1);
	bpf_timer_set_callback(&alarm->timer, ring);
	return bpf_timer_start(&alarm->timer, 1000, 0) ? XDP_ABORTED : XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
