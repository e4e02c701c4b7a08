/**
 * What this kernel, container and user allow, found out by trying: each row makes the real thing, attached to nothing,
 * and closes it again. Safe for any user; never throws.
 */
import fs from "node:fs";
import os from "node:os";
import { bpfError } from "#core/errors/bpf.ts";
import { effectiveCapabilities, type Capability } from "#sys/capabilities.ts";
import { cgroup2Root } from "#sys/cgroup.ts";
import { networkNamespaceCookie } from "#sys/netns.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { BPF_F_NO_PREALLOC, MAP_TYPE } from "#bpf/kernel/constants.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { whyNotSpliced } from "#bpf/programs/splice/feature.ts";
import { STEER_PROGRAMS } from "#bpf/programs/steer/steering.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";

export interface Probe {
  readonly feature: string;
  readonly available: boolean;
  /** What was found; the reason where it is not available. */
  readonly detail: string;
  /** What the gateway does without it. */
  readonly instead: string;
}

/** The first with CO-RE in the kernel, and all the rest we use. */
const KERNEL_MIN = [5, 17] as const;

const USER_SPACE_MAPS = "maps are kept in user space, each worker telling the others";
const NO_STEERING = "nothing is steered; clients are pointed at a listener, by address or by HTTP proxy settings";
const NO_FIREWALL = "blocked clients are refused by the gateway itself, after they have connected";

const NO_SERVICES = "kernel.services are not balanced: tcp and udp listeners do it in user space";

export function probeKernel(): Probe[] {
  return [
    row("kernel version", "the kernel part is off", kernelVersion),
    row("capabilities", "the kernel part is off", capabilities),
    row("lockdown", "the kernel part is off", lockdown),
    row("bpf system call", USER_SPACE_MAPS, () => map(MAP_TYPE.HASH, 4)),
    row("map: LPM trie", USER_SPACE_MAPS, () => map(MAP_TYPE.LPM_TRIE, 20, BPF_F_NO_PREALLOC)),
    row("map: LRU hash", USER_SPACE_MAPS, () => map(MAP_TYPE.LRU_HASH, 4)),
    row("map: ring buffer", "events are polled from counters", () => map(MAP_TYPE.RINGBUF, 0)),
    row("kernel types (BTF)", "programs that read kernel structures are off", kernelTypes),
    row("XDP", NO_FIREWALL, () => programs("firewall", ["firewall"])),
    row("XDP link", NO_FIREWALL, xdpLink),
    row("SYN cookies in XDP", "SYNs above the threshold go on to the stack, which has its own means", synCookies),
    row("packet counter", "packets are not counted", () => programs("counter", ["counter"])),
    row("port interceptor", "nothing is diverted: bind a listener to the port itself", () =>
      programs("interceptor", ["interceptor"]),
    ),
    row(
      "tracing (BTF tracepoints)",
      "connections are not measured in the kernel; /metrics has the gateway's own counters",
      () => programs("trace", ["trace_state", "trace_retransmit", "trace_reset"]),
    ),
    row("tracing of responses", "the time to a response is not measured in the kernel; the rest is", () =>
      programs("trace", ["trace_received", "trace_sent"]),
    ),
    row("inbound steering", "bindings: a listener serves its own address only, and nothing stands in", () =>
      programs("bind", ["bind_lookup"]),
    ),
    row("splicing by sockmap", "`splice: sockmap`: workers move the bytes, bulk by splice(2)", () => {
      const why = whyNotSpliced();
      if (why !== null) throw new Missing(why);
      return programs("splice", ["splice"]);
    }),
    row("L4 balancer", NO_SERVICES, () => programs("balancer", ["balancer"])),
    row("IP forwarding", "services: packets for an endpoint are dropped, and counted as such", forwarding),
    row("cgroup2", NO_STEERING, cgroup2),
    row("network namespace cookie", NO_STEERING, () => `this one is ${networkNamespaceCookie()}`),
    row("cgroup connect and sockops", NO_STEERING, () => programs("steer", STEER_PROGRAMS.tcp)),
    row("cgroup sendmsg and recvmsg", "datagrams are not steered", () => programs("steer", STEER_PROGRAMS.udp)),
    row("cgroup getsockopt", "SO_ORIGINAL_DST is answered to nobody; workers read the map", () =>
      programs("steer", ["steer_getsockopt"]),
    ),
    row("bpffs", "nothing: links and maps are not pinned", bpffs),
  ];
}

/** Throws PENSTOCK_BPF_UNAVAILABLE unless maps and programs can be made at all. */
export function requireKernel(): void {
  const needed = [
    row("bpf system call", USER_SPACE_MAPS, () => map(MAP_TYPE.LPM_TRIE, 20, BPF_F_NO_PREALLOC)),
    row("capabilities", "the kernel part is off", capabilities),
  ];
  const missing = needed.filter((each) => !each.available).map((each) => `${each.feature}: ${each.detail}`);
  if (missing.length > 0) throw bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: missing.join("; ") });
}

/** `attempt` answers what it found, or throws why not. */
function row(feature: string, instead: string, attempt: () => string): Probe {
  try {
    return { feature, available: true, detail: attempt(), instead };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { feature, available: false, detail: message.split("\n", 1)[0] ?? "", instead };
  }
}

class Missing extends Error {}

function kernelVersion(): string {
  const release = os.release();
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const enough = major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
  if (!enough) throw new Missing(`${release}, ${KERNEL_MIN.join(".")} is needed`);
  return release;
}

function capabilities(): string {
  const held = effectiveCapabilities();
  const wanted: readonly Capability[] = ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"];
  // CAP_SYS_ADMIN stands for the two newer ones.
  const lacking = wanted.filter((each) => !held.has(each) && (each === "CAP_NET_ADMIN" || !held.has("CAP_SYS_ADMIN")));
  if (lacking.length > 0) throw new Missing(`${lacking.join(", ")} missing`);
  return wanted.join(", ");
}

function lockdown(): string {
  const file = "/sys/kernel/security/lockdown";
  if (!fs.existsSync(file)) return "none seen";
  const mode = /\[(\w+)\]/.exec(fs.readFileSync(file, "utf8"))?.[1] ?? "none";
  if (mode === "confidentiality") throw new Missing("confidentiality: programs may not read kernel memory");
  return mode;
}

function map(type: number, keyBytes: number, flags = 0): string {
  const ring = type === MAP_TYPE.RINGBUF;
  BpfMap.create(
    plainMap({
      name: "probe",
      type,
      keyBytes,
      valueBytes: ring ? 0 : 8,
      maxEntries: ring ? 4096 : 1,
      flags,
    }),
  ).close();
  return "made one";
}

function kernelTypes(): string {
  const { size } = fs.statSync("/sys/kernel/btf/vmlinux");
  return `${Math.round(size / 1024)} KiB`;
}

function programs(object: string, names: readonly string[]): string {
  Collection.load(committedSpec(object), { programs: names }).close();
  return `verified ${names.join(", ")}`;
}

/** The balancer asks the routing table as a router would. */
function forwarding(): string {
  const files = { IPv4: "net/ipv4/ip_forward", IPv6: "net/ipv6/conf/all/forwarding" };
  const on = Object.entries(files)
    .filter(([, file]) => fs.existsSync(`/proc/sys/${file}`) && fs.readFileSync(`/proc/sys/${file}`, "utf8")[0] === "1")
    .map(([family]) => family);
  if (on.length === 0) throw new Missing("off for IPv4 and IPv6 (net.ipv4.ip_forward, net.ipv6.conf.all.forwarding)");
  return `on for ${on.join(" and ")}`;
}

/** Can't be tried without attaching; it came with 5.9, and EINVAL says both "no such interface" and "no such call". */
function xdpLink(): string {
  kernelVersion();
  return "since Linux 5.9";
}

/** Of this network namespace. The kernel makes cookies for programs only when it makes them always. */
function synCookies(): string {
  const setting = fs.readFileSync("/proc/sys/net/ipv4/tcp_syncookies", "utf8").trim();
  if (setting !== "2") throw new Missing(`net.ipv4.tcp_syncookies is ${setting}; set it to 2`);
  return "net.ipv4.tcp_syncookies is 2";
}

function cgroup2(): string {
  const root = cgroup2Root();
  if (root === null) throw new Missing("no cgroup2 file system is mounted");
  return root;
}

function bpffs(): string {
  const mount = fs
    .readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .find((line) => line.split(" ")[2] === "bpf");
  if (mount === undefined) throw new Missing("not mounted");
  return mount.split(" ")[1] ?? "";
}
