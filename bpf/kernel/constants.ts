/** Numbers of linux/bpf.h and linux/if_link.h that this room uses, by their names there. */

/** enum bpf_map_type */
export const MAP_TYPE = {
  HASH: 1,
  ARRAY: 2,
  PROG_ARRAY: 3,
  PERF_EVENT_ARRAY: 4,
  PERCPU_HASH: 5,
  PERCPU_ARRAY: 6,
  STACK_TRACE: 7,
  CGROUP_ARRAY: 8,
  LRU_HASH: 9,
  LRU_PERCPU_HASH: 10,
  LPM_TRIE: 11,
  ARRAY_OF_MAPS: 12,
  HASH_OF_MAPS: 13,
  DEVMAP: 14,
  SOCKMAP: 15,
  CPUMAP: 16,
  XSKMAP: 17,
  SOCKHASH: 18,
  CGROUP_STORAGE: 19,
  REUSEPORT_SOCKARRAY: 20,
  PERCPU_CGROUP_STORAGE: 21,
  QUEUE: 22,
  STACK: 23,
  SK_STORAGE: 24,
  DEVMAP_HASH: 25,
  RINGBUF: 27,
  INODE_STORAGE: 28,
  TASK_STORAGE: 29,
  BLOOM_FILTER: 30,
  USER_RINGBUF: 31,
  CGRP_STORAGE: 32,
} as const;

/** enum bpf_prog_type, those that are named in reports. */
export const PROGRAM_TYPE_NAMES: Readonly<Record<number, string>> = {
  1: "socket_filter",
  2: "kprobe",
  3: "sched_cls",
  5: "tracepoint",
  6: "xdp",
  8: "cgroup_skb",
  9: "cgroup_sock",
  13: "sock_ops",
  14: "sk_skb",
  15: "cgroup_device",
  16: "sk_msg",
  17: "raw_tracepoint",
  18: "cgroup_sock_addr",
  21: "sk_reuseport",
  22: "flow_dissector",
  23: "cgroup_sysctl",
  25: "cgroup_sockopt",
  26: "tracing",
  28: "ext",
  29: "lsm",
  30: "sk_lookup",
  31: "syscall",
  32: "netfilter",
};

/** enum bpf_attach_type, those that this gateway uses. */
export const ATTACH_TYPE = {
  CGROUP_SOCK_OPS: 3,
  SK_SKB_STREAM_VERDICT: 5,
  CGROUP_INET4_CONNECT: 10,
  CGROUP_INET6_CONNECT: 11,
  CGROUP_GETSOCKOPT: 21,
  SK_LOOKUP: 36,
  XDP: 37,
} as const;

export const BPF_F_NO_PREALLOC = 1 << 0;
/** The descriptor, not the map, is read-only. */
export const BPF_F_RDONLY = 1 << 3;
/** LINK_UPDATE only if the program in place is the one we think. */
export const BPF_F_REPLACE = 1 << 2;

export const XDP_FLAGS_SKB_MODE = 1 << 1;
export const XDP_FLAGS_DRV_MODE = 1 << 2;

/** What ring buffers and memory-mapped arrays are laid out by; the machines we run on have no other. */
export const PAGE_BYTES = 4096;

/** BPF_OBJ_NAME_LEN, the final NUL included. */
export const OBJECT_NAME_BYTES = 16;

/** The kernel's own, not in any libc: an operation that this kind of object lacks. linux/errno.h */
export const ENOTSUPP = 524;
