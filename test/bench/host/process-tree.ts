/** What a process and its descendants have used, by /proc (proc(5)). */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** CPU time of all threads of some processes, in clock ticks. */
export interface CpuTicks {
  readonly user: number;
  readonly system: number;
}

/** Clock ticks a second: the unit of the times in /proc/PID/stat. */
export const TICKS_PER_SECOND = Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));

/** Field numbers of /proc/PID/stat, counted from the one behind the command's closing parenthesis. */
const PARENT = 1;
const USER = 11;
const SYSTEM = 12;

/** Null when the process is gone. */
function statFields(pid: number): readonly string[] | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return null;
    throw error;
  }
}

/** `root` and all its descendants that live now. */
export function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const fields = Number.isInteger(pid) ? statFields(pid) : null;
    if (fields !== null) parents.set(pid, Number(fields[PARENT]));
  }
  const tree = [root];
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

/** Throws when one of the processes has ended: what it used would be missing. */
export function cpuTicks(pids: readonly number[]): CpuTicks {
  let user = 0;
  let system = 0;
  for (const pid of pids) {
    const fields = statFields(pid);
    if (fields === null) throw new Error(`process ${pid} ended during the measurement`);
    user += Number(fields[USER]);
    system += Number(fields[SYSTEM]);
  }
  return { user, system };
}

/** Bytes of memory the process holds, shared pages included. */
export function residentBytes(pid: number): number {
  return rollup(pid, "Rss");
}

/** The same, each shared page divided among those who share it: sums over processes count nothing twice. */
export function proportionalBytes(pid: number): number {
  return rollup(pid, "Pss");
}

function rollup(pid: number, field: "Rss" | "Pss"): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text)?.[1];
  if (kilobytes === undefined) throw new Error(`no ${field} in /proc/${pid}/smaps_rollup`);
  return Number(kilobytes) * 1024;
}

/** The command line, arguments joined by spaces. Empty when the process is gone. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** Ticks that a core spent on processes, whosever; not on interrupts. */
export function coreTicks(cpu: number): number {
  const line = new RegExp(`^cpu${cpu} (\\d+) (\\d+) (\\d+) `, "m").exec(readFileSync("/proc/stat", "utf8"));
  if (line === null) throw new Error(`no cpu${cpu} in /proc/stat`);
  return line.slice(1).reduce((sum, ticks) => sum + Number(ticks), 0);
}
