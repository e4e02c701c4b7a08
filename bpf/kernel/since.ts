/**
 * Which kernel brought what, so that a refusal can say what is missing instead of EINVAL. Pure. Source: the kernel's
 * history of include/uapi/linux/bpf.h (first release whose header has the name).
 */
import os from "node:os";
import { EBUSY, EINVAL, ENOENT, EPERM } from "#core/errno.ts";
import { ENOTSUPP } from "./constants.ts";

/** By enum bpf_map_type. */
export const MAP_KINDS: Readonly<Record<number, { readonly name: string; readonly since: string }>> = {
  1: { name: "hash", since: "3.19" },
  2: { name: "array", since: "3.19" },
  3: { name: "program array", since: "4.2" },
  4: { name: "perf event array", since: "4.3" },
  5: { name: "per-CPU hash", since: "4.6" },
  6: { name: "per-CPU array", since: "4.6" },
  7: { name: "stack trace", since: "4.6" },
  8: { name: "cgroup array", since: "4.8" },
  9: { name: "LRU hash", since: "4.10" },
  10: { name: "LRU per-CPU hash", since: "4.10" },
  11: { name: "LPM trie", since: "4.11" },
  12: { name: "array of maps", since: "4.12" },
  13: { name: "hash of maps", since: "4.12" },
  14: { name: "device map", since: "4.14" },
  15: { name: "socket map", since: "4.14" },
  16: { name: "CPU map", since: "4.15" },
  17: { name: "AF_XDP socket map", since: "4.18" },
  18: { name: "socket hash", since: "4.18" },
  19: { name: "cgroup storage", since: "4.19" },
  20: { name: "reuseport socket array", since: "4.19" },
  21: { name: "per-CPU cgroup storage", since: "4.20" },
  22: { name: "queue", since: "4.20" },
  23: { name: "stack", since: "4.20" },
  24: { name: "socket storage", since: "5.2" },
  25: { name: "device hash", since: "5.4" },
  26: { name: "struct_ops", since: "5.6" },
  27: { name: "ring buffer", since: "5.8" },
  28: { name: "inode storage", since: "5.10" },
  29: { name: "task storage", since: "5.11" },
  30: { name: "bloom filter", since: "5.16" },
  31: { name: "user ring buffer", since: "6.1" },
  32: { name: "cgroup-local storage", since: "6.2" },
  33: { name: "arena", since: "6.9" },
};

/** By enum bpf_prog_type. */
export const PROGRAM_KINDS: Readonly<Record<number, { readonly name: string; readonly since: string }>> = {
  1: { name: "socket_filter", since: "3.19" },
  2: { name: "kprobe", since: "4.1" },
  3: { name: "sched_cls", since: "4.1" },
  5: { name: "tracepoint", since: "4.7" },
  6: { name: "xdp", since: "4.8" },
  7: { name: "perf_event", since: "4.9" },
  8: { name: "cgroup_skb", since: "4.10" },
  9: { name: "cgroup_sock", since: "4.10" },
  10: { name: "lwt_in", since: "4.10" },
  11: { name: "lwt_out", since: "4.10" },
  12: { name: "lwt_xmit", since: "4.10" },
  13: { name: "sock_ops", since: "4.13" },
  14: { name: "sk_skb", since: "4.14" },
  15: { name: "cgroup_device", since: "4.15" },
  16: { name: "sk_msg", since: "4.17" },
  17: { name: "raw_tracepoint", since: "4.17" },
  18: { name: "cgroup_sock_addr", since: "4.17" },
  19: { name: "lwt_seg6local", since: "4.18" },
  21: { name: "sk_reuseport", since: "4.19" },
  22: { name: "flow_dissector", since: "4.20" },
  23: { name: "cgroup_sysctl", since: "5.2" },
  25: { name: "cgroup_sockopt", since: "5.3" },
  26: { name: "tracing", since: "5.5" },
  27: { name: "struct_ops", since: "5.6" },
  28: { name: "ext", since: "5.6" },
  29: { name: "lsm", since: "5.7" },
  30: { name: "sk_lookup", since: "5.9" },
  31: { name: "syscall", since: "5.14" },
  32: { name: "netfilter", since: "6.4" },
};

/** By enum bpf_attach_type, where it is younger than its program kind. */
export const ATTACH_SINCE: Readonly<Record<number, { readonly name: string; readonly since: string }>> = {
  19: { name: "cgroup/recvmsg4", since: "5.2" },
  20: { name: "cgroup/recvmsg6", since: "5.2" },
  28: { name: "iterator", since: "5.8" },
  29: { name: "cgroup/getpeername4", since: "5.8" },
  30: { name: "cgroup/getpeername6", since: "5.8" },
  33: { name: "xdp/devmap", since: "5.8" },
  35: { name: "xdp/cpumap", since: "5.9" },
  38: { name: "sk_skb/verdict", since: "5.13" },
  40: { name: "sk_reuseport/migrate", since: "5.14" },
  43: { name: "lsm_cgroup", since: "6.0" },
  46: { name: "tcx/ingress", since: "6.6" },
  47: { name: "tcx/egress", since: "6.6" },
  49: { name: "cgroup/connect_unix", since: "6.7" },
  54: { name: "netkit/primary", since: "6.7" },
  55: { name: "netkit/peer", since: "6.7" },
};

const BPF_MAP_TYPE_STRUCT_OPS = 26;

/** What of a map kind is missing here, in words; null when nothing is known to be. */
export function missingMapKind(type: number, release: string = os.release()): string | null {
  if (type === BPF_MAP_TYPE_STRUCT_OPS) {
    return "struct_ops maps: they put functions into the kernel's own tables (a TCP congestion control, a scheduler), which a gateway has no business in";
  }
  const kind = MAP_KINDS[type];
  if (kind === undefined) return `map type ${type}: not known to this loader`;
  return missing(`${kind.name} maps`, kind.since, release);
}

/** What a program kind, with what it attaches to, needs and is not here; null when nothing is known to be missing. */
export function missingProgramKind(type: number, attachType: number, release: string = os.release()): string | null {
  const kind = PROGRAM_KINDS[type];
  if (kind === undefined) return `program type ${type}: not known to this loader`;
  const attach = ATTACH_SINCE[attachType];
  return (
    missing(`${kind.name} programs`, kind.since, release) ??
    (attach === undefined ? null : missing(`${attach.name} programs`, attach.since, release))
  );
}

function missing(what: string, since: string, release: string): string | null {
  return isOlder(release, since) ? `${what} came with Linux ${since}, this is ${release}` : null;
}

/** By major and minor number: `6.1.0-18-amd64` is older than `6.4`. */
export function isOlder(release: string, since: string): boolean {
  const [major = 0, minor = 0] = release.split(/[.-]/).map(Number);
  const [wantedMajor = 0, wantedMinor = 0] = since.split(".").map(Number);
  return major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
}

const FENTRY = [24, 25, 26];
const LSM = [27, 43];
const TP_BTF = 23;

/** What stands behind the errno of a kind that depends on how the kernel was built or locked down. */
export function attachHint(attachType: number, errno: number): string | null {
  if (FENTRY.includes(attachType) && [ENOTSUPP, EINVAL, EPERM, EBUSY].includes(errno)) {
    return "fentry, fexit and fmod_ret need ftrace with direct calls (CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS), and a kernel that is not locked down; tracepoints (tp_btf, raw_tp) need neither";
  }
  if (LSM.includes(attachType)) {
    return "lsm programs need CONFIG_BPF_LSM, and `bpf` in the lsm= list that the kernel was started with (/sys/kernel/security/lsm)";
  }
  if (attachType === TP_BTF && errno === ENOENT) return "this kernel has no tracepoint of that name";
  return null;
}
