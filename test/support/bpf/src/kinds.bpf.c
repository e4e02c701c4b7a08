// SPDX-License-Identifier: (GPL-2.0 OR BSD-3-Clause)
/* Maps that only an object can declare, since they need types or a template; and programs for each way of attaching. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_INODE_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} inodes SEC(".maps");

struct {
	/* BPF_MAP_TYPE_CGRP_STORAGE, which older headers lack. */
	__uint(type, 32);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u64);
} cgroups SEC(".maps");

struct inner {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, struct inner);
} array_of_maps SEC(".maps") = { .values = { [1] = &first } };

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, struct inner);
} hash_of_maps SEC(".maps");

__u64 seen;

SEC("raw_tp/inet_sock_set_state")
int raw_states(void *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int typed_states(void *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return 0;
}

SEC("tp/sock/inet_sock_set_state")
int states(void *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return 0;
}

SEC("netfilter")
int accept_all(void *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return 1;
}

SEC("sk_lookup")
int look(struct bpf_sk_lookup *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return SK_PASS;
}

SEC("cgroup/connect4")
int connects(struct bpf_sock_addr *ctx)
{
	__sync_fetch_and_add(&seen, 1);
	return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
