/** What this user lacks, and what may be had for the asking. */
import { CAPABILITIES, effectiveCapabilities } from "#sys/capabilities.ts";
import type { Capability } from "#sys/capabilities.ts";
import { landlockAbi } from "#sys/landlock.ts";
import { getLimit, setLimit } from "#sys/process.ts";
import { seccompAvailable } from "#sys/seccomp.ts";

/** A connection takes a descriptor on each side, and listening sockets, maps and modules a few more. */
const OPEN_FILES = 262_144;

/** As many open files as may be had. Inherited by the children. Throws nothing that matters: fewer files serve fewer clients. */
export function raiseOpenFiles(): void {
  const { soft, hard } = getLimit("openFiles");
  const wanted = effectiveCapabilities().has("CAP_SYS_RESOURCE") ? Math.max(hard, OPEN_FILES) : hard;
  if (soft >= wanted && hard >= wanted) return;
  try {
    setLimit("openFiles", { soft: wanted, hard: wanted });
  } catch {
    // fs.nr_open is below: what is allowed is the hard limit that we have.
    setLimit("openFiles", { soft: hard, hard });
  }
}

/** Is there a user to give up, and the right to do it? */
export function isPrivileged(): boolean {
  const held = effectiveCapabilities();
  return process.getuid?.() === 0 && held.has("CAP_SETUID") && held.has("CAP_SETGID");
}

const FOR: Readonly<Partial<Record<Capability, string>>> = {
  CAP_SETPCAP: "the bounding set of children stays as it is",
};

/** One line for each wall of the children that can't be put up here. */
export function whatIsOff(privileged: boolean): string[] {
  const notes: string[] = [];
  if (!privileged) notes.push("not root, or not allowed to become another user: children run as this user");
  const held = effectiveCapabilities();
  for (const name of Object.keys(CAPABILITIES) as Capability[]) {
    const consequence = FOR[name];
    if (privileged && consequence !== undefined && !held.has(name)) notes.push(`${name} is missing: ${consequence}`);
  }
  const abi = landlockAbi();
  if (abi === 0) notes.push("Landlock is missing: children can reach whatever their user can");
  else if (abi < 6) notes.push(`Landlock is of version ${abi}: children of one user are not kept apart by it`);
  if (!seccompAvailable()) notes.push("seccomp is missing: children can make any system call");
  return notes;
}
