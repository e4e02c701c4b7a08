/** Where cgroup2 is mounted, which cgroup a process is in, and the ids that BPF programs know cgroups by. */
import fs from "node:fs";
import path from "node:path";

/** Mount point of the cgroup2 hierarchy: `/sys/fs/cgroup`, or `/sys/fs/cgroup/unified` beside v1. Null where there is none. */
export function cgroup2Root(mounts = fs.readFileSync("/proc/self/mounts", "utf8")): string | null {
  for (const line of mounts.split("\n")) {
    const [, directory, type] = line.split(" ");
    if (type === "cgroup2" && directory !== undefined) return unescapeMount(directory);
  }
  return null;
}

/** proc(5): blanks, tabs, newlines and backslashes in mount points are written as three octal digits. */
function unescapeMount(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Directory of the cgroup that a process is in, within what is mounted here. Null without cgroup2, or outside our view of it. */
export function cgroupOf(pid: number | "self" = "self"): string | null {
  const root = cgroup2Root();
  if (root === null) return null;
  const line = fs
    .readFileSync(`/proc/${pid}/cgroup`, "utf8")
    .split("\n")
    .find((each) => each.startsWith("0::"));
  if (line === undefined || line.startsWith("0::/..")) return null;
  return path.resolve(path.join(root, line.slice(3)));
}

/**
 * `bpf_get_current_cgroup_id`'s number for a directory: kernfs uses it as the inode number (64-bit kernels).
 * Null when it is no cgroup2 directory.
 */
export function cgroupId(directory: string): bigint | null {
  if (!fs.existsSync(path.join(directory, "cgroup.procs"))) return null;
  if (!isCgroup2(directory)) return null;
  return fs.statSync(directory, { bigint: true }).ino;
}

/** Whether one directory lies anywhere below another. */
export function isBelow(directory: string, above: string): boolean {
  const way = path.relative(path.resolve(above), path.resolve(directory));
  return way !== "" && way !== ".." && !way.startsWith("../");
}

/** CGROUP2_SUPER_MAGIC, linux/magic.h. */
const CGROUP2_MAGIC = 0x6367_7270;

function isCgroup2(directory: string): boolean {
  return fs.statfsSync(directory).type === CGROUP2_MAGIC;
}
