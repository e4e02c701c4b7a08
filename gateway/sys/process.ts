/** What a process may still do to itself: no_new_privs, resource limits, and the kernel's own account of it all. */
import { readFileSync } from "node:fs";
import { check, libc } from "./libc.ts";

const prctlCall = libc.func("int prctl(int option, uint64_t a, uint64_t b, uint64_t c, uint64_t d)");
const prlimitCall = libc.func("int prlimit(int pid, int resource, void *limit, void *old)");

/** prctl(2) with integer arguments. Throws PENSTOCK_SYS_CALL. */
export function prctl(name: string, option: number, a: number, b = 0): number {
  return check(`prctl ${name}`, prctlCall(option, a, b, 0, 0) as number);
}

/** No execve from here on gives privileges, by set-uid bits or file capabilities. Inherited, and can't be undone. */
export function setNoNewPrivileges(): void {
  prctl("PR_SET_NO_NEW_PRIVS", 38, 1);
}

/** include/uapi/asm-generic/resource.h: the numbers agree on x86-64 and arm64. */
const RESOURCES = { cpuSeconds: 0, dataBytes: 2, coreBytes: 4, openFiles: 7, addressSpaceBytes: 9 } as const;
export type Resource = keyof typeof RESOURCES;

export interface Limit {
  /** `Infinity` where there is none. */
  readonly soft: number;
  readonly hard: number;
}

const RLIM_INFINITY = 0xffff_ffff_ffff_ffffn;

/** getrlimit(2) of this process. */
export function getLimit(resource: Resource): Limit {
  const old = new BigUint64Array(2);
  check("prlimit", prlimitCall(0, RESOURCES[resource], null, old) as number);
  const [soft = 0n, hard = 0n] = old;
  return { soft: fromKernel(soft), hard: fromKernel(hard) };
}

/** setrlimit(2) of this process; inherited by what it spawns. Throws PENSTOCK_SYS_CALL when `hard` grows without privilege. */
export function setLimit(resource: Resource, limit: Limit): void {
  const wanted = BigUint64Array.of(toKernel(limit.soft), toKernel(limit.hard));
  check(`setrlimit ${resource}`, prlimitCall(0, RESOURCES[resource], wanted, null) as number);
}

function fromKernel(value: bigint): number {
  return value === RLIM_INFINITY ? Infinity : Number(value);
}
function toKernel(value: number): bigint {
  return value === Infinity ? RLIM_INFINITY : BigInt(value);
}

/** A process's `/proc/PID/status`, as field → value. Throws ENOENT when it is gone. */
export function processStatus(pid: number | "self" = "self"): Map<string, string> {
  const fields = new Map<string, string>();
  for (const line of readFileSync(`/proc/${pid}/status`, "utf8").split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return fields;
}

/**
 * When a process started, in clock ticks since boot: with the pid it names one process for ever, where a pid alone may have been
 * given away again. Null when it is gone, or dead and only waiting for its parent to look. Source: proc_pid_stat(5),
 * fields 3 and 22, counted after the last `)`.
 */
export function processStartTime(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return null;
  }
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? null);
}
