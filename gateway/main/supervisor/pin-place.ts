/**
 * Where the kernel part keeps what outlives a kill (PENSTOCK_PINS): a directory of a bpffs, by default below the one that is
 * mounted on this machine, if any. Nothing is mounted here: a mount would outlive the gateway.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, statfsSync } from "node:fs";
import { join, resolve } from "node:path";

export interface PinPlace {
  /** Null: nothing is pinned. */
  readonly directory: string | null;
  /** Why not, where it was asked for. */
  readonly note: string | null;
}

export const NO_PINS: PinPlace = { directory: null, note: null };

/** linux/magic.h */
const BPF_FS_MAGIC = 0xcafe4a11;

/**
 * `setting`: `off`, a directory, or undefined for the bpffs that is found. Each data directory has a folder of its own, so that
 * gateways beside each other don't take over from one another. Never throws: without pins the gateway runs as well.
 */
export function pinPlace(
  setting: string | undefined,
  data: string,
  mounts: string = readFileSync("/proc/self/mounts", "utf8"),
): PinPlace {
  if (setting === "off") return NO_PINS;
  const root = setting === undefined ? bpffs(mounts) : resolve(setting);
  if (root === null) return NO_PINS;
  const name = createHash("sha256").update(resolve(data)).digest("hex").slice(0, 12);
  const directory = join(root, `penstock-${name}`);
  try {
    if (statfsSync(root).type !== BPF_FS_MAGIC) throw new Error(`${root} is in no bpffs (mount -t bpf bpf DIR)`);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    return { directory, note: null };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { directory: null, note: `programs do not outlive a kill of the gateway, nothing is pinned: ${why}` };
  }
}

/** After a clean stop: the folder goes, unless another version's pins are in it. */
export function leavePinPlace({ directory }: PinPlace): void {
  if (directory !== null && readdirSync(directory).length === 0) rmdirSync(directory);
}

/** The first that is mounted; null when none is. */
function bpffs(mounts: string): string | null {
  const line = mounts.split("\n").find((each) => each.split(" ")[2] === "bpf");
  return line?.split(" ")[1] ?? null;
}
