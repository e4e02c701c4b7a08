/** Programs of others at the places where ours are: shown, never touched. */
import fs from "node:fs";
import { ENOENT, EINVAL } from "#core/errno.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { findInterface } from "#bpf/netlink/interfaces.ts";
import { callError, closeFd } from "#bpf/kernel/call.ts";
import { ATTACH_TYPE, PROGRAM_TYPE_NAMES } from "#bpf/kernel/constants.ts";
import { openIfAllowed } from "#bpf/kernel/ids.ts";
import { programInfo } from "#bpf/kernel/program.ts";

export interface AttachedProgram {
  /** `eth0 xdp`, `/sys/fs/cgroup/apps connect4`. */
  readonly place: string;
  readonly id: number;
  readonly name: string;
  readonly type: string;
}

/** BPF_F_QUERY_EFFECTIVE: those of parent cgroups too, in the order they run. */
const QUERY_EFFECTIVE = 1;
const PROGRAMS_MAX = 64;

const CGROUP_HOOKS = {
  connect4: ATTACH_TYPE.CGROUP_INET4_CONNECT,
  connect6: ATTACH_TYPE.CGROUP_INET6_CONNECT,
  sockops: ATTACH_TYPE.CGROUP_SOCK_OPS,
  getsockopt: ATTACH_TYPE.CGROUP_GETSOCKOPT,
} as const;

export function cgroupPrograms(directory: string): AttachedProgram[] {
  if (!fs.existsSync(directory)) return [];
  const fd = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  try {
    return Object.entries(CGROUP_HOOKS).flatMap(([hook, type]) =>
      query(fd, type).map((id) => ({ place: `${directory} ${hook}`, id, ...describe(id) })),
    );
  } finally {
    fs.closeSync(fd);
  }
}

export function interfacePrograms(device: string): AttachedProgram[] {
  const { mode, programIds } = findInterface(device)?.xdp ?? { mode: "none", programIds: [] };
  return programIds.map((id) => ({ place: `${device} xdp ${mode}`, id, ...describe(id) }));
}

/** sk_lookup programs of the network namespace that this thread is in. */
export function netnsPrograms(): AttachedProgram[] {
  const fd = fs.openSync("/proc/thread-self/ns/net", fs.constants.O_RDONLY);
  try {
    return query(fd, ATTACH_TYPE.SK_LOOKUP, 0).map((id) => ({ place: "netns sk_lookup", id, ...describe(id) }));
  } finally {
    fs.closeSync(fd);
  }
}

function query(target: number, type: number, flags = QUERY_EFFECTIVE): number[] {
  const ids = Buffer.alloc(PROGRAMS_MAX * 4);
  const attr = Buffer.alloc(32);
  attr.writeUInt32LE(target, 0);
  attr.writeUInt32LE(type, 4);
  attr.writeUInt32LE(flags, 8);
  putPointer(attr, 16, ids);
  attr.writeUInt32LE(PROGRAMS_MAX, 24);
  const result = bpfCall(BPF.PROG_QUERY, attr);
  // The hook is not built into this kernel: nobody can be attached to it.
  if (result === -EINVAL || result === -ENOENT) return [];
  if (result < 0) throw callError("prog_query", -result);
  return Array.from({ length: attr.readUInt32LE(24) }, (_, i) => ids.readUInt32LE(i * 4));
}

/** Opening by id takes CAP_SYS_ADMIN; without it, others' programs are shown by number only. */
function describe(id: number): { name: string; type: string } {
  const fd = openIfAllowed("program", id);
  if (fd === null) return { name: "", type: "" };
  try {
    const { name, type } = programInfo(fd);
    return { name, type: PROGRAM_TYPE_NAMES[type] ?? String(type) };
  } finally {
    closeFd(fd);
  }
}
