/**
 * What a section's name says about the program in it, by libbpf's conventions (docs: libbpf, "Program types and ELF
 * sections"). Numbers: enum bpf_prog_type and enum bpf_attach_type, linux/bpf.h.
 */

export interface SectionKind {
  readonly type: number;
  readonly attachType: number;
  readonly flags: number;
  /** Whether what follows the prefix names something in the kernel. */
  readonly target: boolean;
}

const BPF_F_SLEEPABLE = 1 << 4;
const BPF_F_XDP_HAS_FRAGS = 1 << 5;

/** Prefix, program type, attach type; the longest prefix that fits decides. */
const EXACT: readonly (readonly [string, number, number])[] = [
  ["socket", 1, 0],
  ["tc", 3, 0],
  ["classifier", 3, 0],
  ["tcx/ingress", 3, 46],
  ["tcx/egress", 3, 47],
  ["netkit/primary", 3, 54],
  ["netkit/peer", 3, 55],
  ["xdp", 6, 37],
  ["xdp/devmap", 6, 33],
  ["xdp/cpumap", 6, 35],
  ["perf_event", 7, 0],
  ["cgroup_skb/ingress", 8, 0],
  ["cgroup_skb/egress", 8, 1],
  ["cgroup/skb", 8, 0],
  ["cgroup/sock_create", 9, 2],
  ["cgroup/sock_release", 9, 34],
  ["cgroup/post_bind4", 9, 12],
  ["cgroup/post_bind6", 9, 13],
  ["lwt_in", 10, 0],
  ["lwt_out", 11, 0],
  ["lwt_xmit", 12, 0],
  ["sockops", 13, 3],
  ["sk_skb", 14, 0],
  ["sk_skb/stream_parser", 14, 4],
  ["sk_skb/stream_verdict", 14, 5],
  ["sk_skb/verdict", 14, 38],
  ["cgroup/dev", 15, 6],
  ["sk_msg", 16, 7],
  ["cgroup/bind4", 18, 8],
  ["cgroup/bind6", 18, 9],
  ["cgroup/connect4", 18, 10],
  ["cgroup/connect6", 18, 11],
  ["cgroup/connect_unix", 18, 49],
  ["cgroup/sendmsg4", 18, 14],
  ["cgroup/sendmsg6", 18, 15],
  ["cgroup/recvmsg4", 18, 19],
  ["cgroup/recvmsg6", 18, 20],
  ["cgroup/getpeername4", 18, 29],
  ["cgroup/getpeername6", 18, 30],
  ["cgroup/getsockname4", 18, 31],
  ["cgroup/getsockname6", 18, 32],
  ["lwt_seg6local", 19, 0],
  ["sk_reuseport", 21, 39],
  ["sk_reuseport/migrate", 21, 40],
  ["flow_dissector", 22, 17],
  ["cgroup/sysctl", 23, 18],
  ["cgroup/getsockopt", 25, 21],
  ["cgroup/setsockopt", 25, 22],
  ["sk_lookup", 30, 36],
  ["syscall", 31, 0],
  ["netfilter", 32, 45],
];

const TARGETED: readonly (readonly [string, number, number])[] = [
  ["kprobe", 2, 0],
  ["kretprobe", 2, 0],
  ["uprobe", 2, 0],
  ["tracepoint", 5, 0],
  ["tp", 5, 0],
  ["raw_tp", 17, 0],
  ["raw_tracepoint", 17, 0],
  ["tp_btf", 26, 23],
  ["fentry", 26, 24],
  ["fexit", 26, 25],
  ["fmod_ret", 26, 26],
  ["iter", 26, 28],
  ["freplace", 28, 0],
  ["lsm", 29, 27],
  ["lsm_cgroup", 29, 43],
];

/** Null for a name nobody knows. A leading `?` (libbpf: don't load by default) is ignored. */
export function sectionKind(section: string): (SectionKind & { readonly targetName: string | null }) | null {
  const name = section.startsWith("?") ? section.slice(1) : section;
  for (const [flags, suffix] of [
    [0, ""],
    [BPF_F_SLEEPABLE, ".s"],
    [BPF_F_XDP_HAS_FRAGS, ".frags"],
  ] as const) {
    for (const [prefix, type, attachType] of EXACT) {
      // `xdp.frags/devmap`: the suffix belongs to the first part.
      const [first, rest] = split(prefix);
      if (name === `${first}${suffix}${rest}`)
        return { type, attachType, flags: flags | implied(type), target: false, targetName: null };
    }
    for (const [prefix, type, attachType] of TARGETED) {
      if (name === `${prefix}${suffix}`) return { type, attachType, flags, target: true, targetName: null };
      if (name.startsWith(`${prefix}${suffix}/`)) {
        return { type, attachType, flags, target: true, targetName: name.slice(prefix.length + suffix.length + 1) };
      }
    }
  }
  return null;
}

function split(prefix: string): readonly [string, string] {
  const slash = prefix.indexOf("/");
  return slash < 0 ? [prefix, ""] : [prefix.slice(0, slash), prefix.slice(slash)];
}

/** `syscall` programs exist only as sleepable ones. */
function implied(type: number): number {
  return type === 31 ? BPF_F_SLEEPABLE : 0;
}
