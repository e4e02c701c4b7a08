/**
 * Gives up, for the calling thread and everything it executes, whatever a policy does not name. Credentials, no_new_privs,
 * Landlock and seccomp belong to threads, and Node has several by the time any script runs: so a launcher confines its main
 * thread and then replaces the process by execve, which ends all others. Nothing of it can be taken back.
 */
import { closedAncestor, openTheWay } from "./confine-mounts.ts";
import { dropBoundingSet, dropCapabilities, effectiveCapabilities } from "./capabilities.ts";
import { restrictByLandlock } from "./landlock.ts";
import type { LandlockPolicy } from "./landlock.ts";
import { getLimit, setLimit, setNoNewPrivileges } from "./process.ts";
import type { Resource } from "./process.ts";
import { installSeccomp, seccompAvailable } from "./seccomp.ts";
import type { SeccompPolicy } from "./seccomp.ts";
import { sysError } from "#core/errors/sys.ts";

export interface Confinement {
  /** Who to become. Null: stay who we are, as a supervisor without root must. */
  readonly identity: { readonly uid: number; readonly gid: number } | null;
  /** Directories that the new identity must be able to reach, absolute and free of symbolic links. */
  readonly reachable: readonly string[];
  readonly landlock: LandlockPolicy;
  readonly seccomp: SeccompPolicy;
  /** Resource limits, soft and hard alike; a hard limit that is lower already stays. */
  readonly limits: Partial<Readonly<Record<Resource, number>>>;
}

/** Which walls stand; those that the kernel lacks do not, and that is for the caller to tell. */
export interface Walls {
  readonly identity: boolean;
  readonly landlock: boolean;
  readonly seccomp: boolean;
  /** The view of the file system is a private one. */
  readonly mounts: boolean;
}

/** Confines the calling thread. Throws PENSTOCK_SYS_CALL: the caller must then exit, half confined as it is. */
export function confine(policy: Confinement): Walls {
  for (const [resource, value] of Object.entries(policy.limits) as [Resource, number][]) {
    const limit = Math.min(value, getLimit(resource).hard);
    setLimit(resource, { soft: limit, hard: limit });
  }
  const mounts = policy.identity !== null && reach(policy.reachable);
  if (policy.identity !== null) become(policy.identity);
  setNoNewPrivileges();
  // The rules are opened by paths, which is why the way to them had to be opened first.
  const landlock = restrictByLandlock(policy.landlock);
  const seccomp = seccompAvailable() && installSeccomp(policy.seccomp);
  return { identity: policy.identity !== null, landlock, seccomp, mounts };
}

function reach(directories: readonly string[]): boolean {
  const closed = directories.map(closedAncestor).find((at) => at !== null);
  if (closed === undefined) return false;
  if (effectiveCapabilities().has("CAP_SYS_ADMIN")) return openTheWay(directories);
  throw sysError("PENSTOCK_SYS_UNREACHABLE", { detail: closed });
}

/** Order matters: the bounding set and the groups need the privileges that setuid ends. */
function become({ uid, gid }: { readonly uid: number; readonly gid: number }): void {
  if (effectiveCapabilities().has("CAP_SETPCAP")) dropBoundingSet();
  process.setgroups?.([]);
  process.setgid?.(gid);
  process.setuid?.(uid);
  dropCapabilities();
}

/** The policy that takes away the one thing a launcher needs and the launched does not: execve. */
const SEAL: SeccompPolicy = {
  bpfMaps: true,
  ioUring: true,
  listen: true,
  socketFamilies: [1, 2, 10, 16],
  execute: false,
};

/** To be called first thing by a process that `confine` and execve have started: from here on it can execute nothing. */
export function sealProcess(): boolean {
  return seccompAvailable() && installSeccomp(SEAL, true);
}
