/**
 * The ways of attaching a program that are not a device or a cgroup, each answering a link: what is attached goes with its
 * last descriptor. The legacy way (BPF_PROG_ATTACH) has no link; there the answer takes the program off when it is closed.
 *
 * Everything throws PENSTOCK_BPF_ATTACH with what is missing where the kernel or its configuration can't.
 */
import fs from "node:fs";
import { asFd, type Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { SystemCallError } from "#sys/libc.ts";
import { openTracepoint } from "#sys/perf.ts";
import { closeFd, mustCall, mustOpen } from "./call.ts";
import { createLink, Link } from "./link.ts";
import type { BpfMap } from "./map.ts";
import { attachHint, missingProgramKind } from "./since.ts";
import type { Program } from "./program.ts";

/** sk_lookup and flow_dissector programs. `path`: of a network namespace; that of the calling thread when left out. */
export function attachToNetns(program: Program, path = "/proc/thread-self/ns/net"): Link {
  const target = fs.openSync(path, fs.constants.O_RDONLY);
  try {
    return createLink(program, target, 0, `netns ${path} ${program.name}`);
  } finally {
    fs.closeSync(target);
  }
}

export interface NetfilterPlace {
  readonly family: "ipv4" | "ipv6";
  readonly hook: "prerouting" | "input" | "forward" | "output" | "postrouting";
  /** Lower runs first; not the reserved ends of the range. */
  readonly priority: number;
  /** Fragments are put together before. */
  readonly defragment?: boolean;
}

const NFPROTO = { ipv4: 2, ipv6: 10 } as const;
const NF_INET_HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const BPF_F_NETFILTER_IP_DEFRAG = 1;

/** In the network namespace of the calling thread. */
export function attachToNetfilter(program: Program, place: NetfilterPlace): Link {
  const { family, hook, priority, defragment = false } = place;
  return createLink(program, 0, 0, `netfilter ${family} ${hook}`, (attr) => {
    attr.writeUInt32LE(NFPROTO[family], 16);
    attr.writeUInt32LE(NF_INET_HOOKS.indexOf(hook), 20);
    attr.writeInt32LE(priority, 24);
    attr.writeUInt32LE(defragment ? BPF_F_NETFILTER_IP_DEFRAG : 0, 28);
  });
}

/** tp_btf, fentry, fexit, fmod_ret and lsm programs: what they are for was named when they were loaded. */
export function attachTracing(program: Program): Link {
  return openRaw(program, null);
}

/** `raw_tp/sched_switch` by its name. */
export function attachRawTracepoint(program: Program, name: string): Link {
  return openRaw(program, name);
}

function openRaw(program: Program, name: string | null): Link {
  const attr = Buffer.alloc(24);
  const text = name === null ? null : Buffer.from(`${name}\0`, "latin1");
  putPointer(attr, 0, text);
  attr.writeUInt32LE(program.fd, 8);
  const place = name === null ? `${program.target ?? program.name}` : `raw tracepoint ${name}`;
  const result = bpfCall(BPF.RAW_TRACEPOINT_OPEN, attr);
  if (result < 0) throw attachError(program, place, -result);
  return Link.fromFd(asFd(result), place);
}

const TRACEFS = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] as const;

/** `sock/inet_sock_set_state`. Needs tracefs to be mounted: the event's number is in there. */
export function attachToTracepoint(program: Program, name: string): Link {
  const root = TRACEFS.find((each) => fs.existsSync(`${each}/events`));
  if (root === undefined) {
    throw bpfError("PENSTOCK_BPF_ATTACH", {
      detail: `tracepoint ${name}: no tracefs is mounted at ${TRACEFS.join(" or ")}; raw_tp and tp_btf programs need none`,
    });
  }
  const file = `${root}/events/${name}/id`;
  if (!fs.existsSync(file)) {
    throw bpfError("PENSTOCK_BPF_ATTACH", { detail: `tracepoint ${name}: this kernel has none of that name` });
  }
  const event = openTracepoint(Number(fs.readFileSync(file, "utf8")));
  try {
    return createLink(program, event, 0, `tracepoint ${name}`, undefined, BPF_PERF_EVENT);
  } finally {
    // The link holds it.
    closeFd(event);
  }
}

const BPF_PERF_EVENT = 41;

/** An iterator, of sockets, tasks, maps …: `read` runs the program once over all of them. `map`: for `iter/bpf_map_elem`. */
export class KernelIterator {
  readonly link: Link;

  constructor(program: Program, map?: BpfMap) {
    const info = map === undefined ? null : Buffer.alloc(16);
    if (info !== null && map !== undefined) info.writeUInt32LE(map.fd, 0);
    this.link = createLink(program, 0, 0, `iterator ${program.target ?? program.name}`, (attr) => {
      putPointer(attr, 16, info);
      attr.writeUInt32LE(info === null ? 0 : info.length, 24);
    });
  }

  /** What the program wrote (bpf_seq_write, bpf_seq_printf). */
  read(): Buffer {
    const attr = Buffer.alloc(8);
    attr.writeUInt32LE(this.link.fd, 0);
    const fd = mustOpen(BPF.ITER_CREATE, attr, `iter_create ${this.link.place}`);
    try {
      return fs.readFileSync(fd);
    } finally {
      closeFd(fd);
    }
  }

  close(): void {
    this.link.close();
  }
}

/** Taken off when it is closed, and only then: the kernel keeps it when this process dies. */
export interface LegacyAttachment {
  readonly place: string;
  close(): void;
}

/** sk_skb and sk_msg programs act on the sockets of a sockmap or sockhash. Gone with the map, too. */
export function attachToSockets(program: Program, map: BpfMap): LegacyAttachment {
  return progAttach(program, map.fd, `sockets of ${map.name}`);
}

/** As Pipy and older tools attach to a cgroup; beside programs of others (BPF_F_ALLOW_MULTI). */
export function attachToCgroupLegacy(program: Program, directory: string): LegacyAttachment {
  const target = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    const attachment = progAttach(program, asFd(target), directory, BPF_F_ALLOW_MULTI);
    return { place: attachment.place, close: () => closeBoth(attachment, target) };
  } catch (error) {
    fs.closeSync(target);
    throw error;
  }
}

const BPF_F_ALLOW_MULTI = 2;

function closeBoth(attachment: LegacyAttachment, target: number): void {
  attachment.close();
  fs.closeSync(target);
}

function progAttach(program: Program, target: Fd, place: string, flags = 0): LegacyAttachment {
  const attr = Buffer.alloc(20);
  attr.writeUInt32LE(target, 0);
  attr.writeUInt32LE(program.fd, 4);
  attr.writeUInt32LE(program.attachType, 8);
  attr.writeUInt32LE(flags, 12);
  const result = bpfCall(BPF.PROG_ATTACH, attr);
  if (result < 0) throw attachError(program, place, -result);
  return {
    place,
    close: () => {
      attr.writeUInt32LE(0, 12);
      mustCall(BPF.PROG_DETACH, attr, `prog_detach ${place}`);
    },
  };
}

/** What is missing, in the words of whoever can put it right; the errno is in it too. */
function attachError(program: Program, place: string, errno: number): Error {
  const cause = new SystemCallError("bpf attach", errno, place);
  const why = missingProgramKind(program.type, program.attachType) ?? attachHint(program.attachType, errno);
  return bpfError("PENSTOCK_BPF_ATTACH", { detail: why === null ? cause.message : `${cause.message}: ${why}`, cause });
}
