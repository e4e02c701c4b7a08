// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* One of everything that a loader has to get right. Each program answers a number that only comes out if it did. */
#include "common.h"

enum colour { RED, GREEN = 5, BLUE = -2 };

struct inner_thing {
	__u16 a;
	__u8 b[3];
};

struct thing {
	__u32 number;
	__s64 wide;
	char name[8];
	enum colour colour;
	unsigned int low : 3;
	int high : 13;
	struct inner_thing nested[2];
	union {
		__u32 word;
		__u8 bytes[4];
	};
	_Bool yes;
};

/* Globals: one of each section. */
const volatile __u32 tag = 7;
const volatile struct thing defaults = {};
__u32 data = 42;
__u64 bss;
static volatile __u32 hidden[4] = { 1, 2, 3, 4 };

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct inner_thing);
	__type(value, struct thing);
} things SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} per_cpu SEC(".maps");

struct inner_map {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} inner_a SEC(".maps"), inner_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner_map);
} outer SEC(".maps") = { .values = { [0] = &inner_a, [2] = &inner_b } };

int tail(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, 4);
	__array(values, int(struct xdp_md *));
} calls SEC(".maps") = { .values = { [3] = &tail } };

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 100);
	__uint(map_extra, 3);
	__uint(value_size, 4);
} bloom SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 8);
	__type(key, __u64);
	__type(value, __u64);
} sockets SEC(".maps");

static __attribute__((noinline)) __u32 mix(__u32 a, __u32 b)
{
	return a * 3 + b;
}

__attribute__((noinline)) __u32 mix_twice(__u32 a)
{
	return mix(mix(a, 1), 2);
}

static long add(__u32 index, void *context)
{
	*(__u32 *)context += index;
	return 0;
}

SEC("xdp")
int calls_functions(struct xdp_md *ctx)
{
	return mix_twice(tag);
}

SEC("xdp")
int calls_back(struct xdp_md *ctx)
{
	__u32 sum = 0;

	bpf_loop(10, add, &sum, 0);
	return sum;
}

SEC("xdp")
int counts_globals(struct xdp_md *ctx)
{
	bss++;
	data++;
	return hidden[data & 3] * 1000 + defaults.number;
}

SEC("xdp")
int tail(struct xdp_md *ctx)
{
	return 77;
}

SEC("xdp")
int calls_tail(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &calls, 3);
	return 0;
}

SEC("xdp")
int looks_into_maps(struct xdp_md *ctx)
{
	__u32 slot = 2, key = 1, value = 9, *found;
	void *map = bpf_map_lookup_elem(&outer, &slot);

	if (!map)
		return 1;
	found = bpf_map_lookup_elem(map, &key);
	bpf_map_push_elem(&bloom, &value, 0);
	bpf_ringbuf_output(&events, &value, sizeof(value), 0);
	return found ? *found : 2;
}

void bpf_rcu_read_lock(void) __ksym;
void bpf_rcu_read_unlock(void) __ksym;

SEC("xdp")
int calls_kernel(struct xdp_md *ctx)
{
	bpf_rcu_read_lock();
	bpf_rcu_read_unlock();
	return 5;
}

/* The kernel finds the field's true offset by the names: CO-RE. */
struct task_struct {
	int tgid;
} __attribute__((preserve_access_index));

SEC("raw_tp/sched_switch")
int reads_kernel(void *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	int tgid = 0;

	bpf_probe_read_kernel(&tgid, sizeof(tgid), &task->tgid);
	return tgid;
}

SEC("tp_btf/sched_switch")
int watches_kernel(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
