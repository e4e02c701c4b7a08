/**
 * Directories that an unprivileged process must reach although an ancestor is closed to it, as a checkout below /root
 * (mode 0700) is. The calling thread gets a mount namespace of its own in which the first closed ancestor is covered by an
 * empty tmpfs, with nothing in it but the way to those directories: the paths stay what they were, and the rest of the
 * ancestor is out of sight. Rejected: entering through /proc/self/fd/N, because SQLite resolves the link back to the
 * closed path.
 *
 * Sources: mount(2), open_tree(2), move_mount(2).
 */
import { closeSync, mkdirSync, statSync } from "node:fs";
import { dirname, relative, sep } from "node:path";
import { check, libc } from "./libc.ts";

const unshareCall = libc.func("int unshare(int flags)");
const mountCall = libc.func(
  "int mount(const char *source, const char *target, const char *type, uint64_t flags, const char *data)",
);
const openTreeCall = libc.func("int64_t syscall(int64_t number, int directory, const char *path, uint32_t flags)");
const moveMountCall = libc.func(
  "int64_t syscall(int64_t number, int from, const char *fromPath, int to, const char *toPath, uint32_t flags)",
);

// The numbers are the same on every architecture.
const SYS_OPEN_TREE = 428;
const SYS_MOVE_MOUNT = 429;
const AT_FDCWD = -100;
const OPEN_TREE_CLONE = 1;
const OPEN_TREE_CLOEXEC = 0o2000000;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const CLONE_NEWNS = 0x0002_0000;
const MS_NOSUID = 2n;
const MS_NODEV = 4n;
const MS_NOEXEC = 8n;
const MS_REC = 0x4000n;
const MS_PRIVATE = 0x4_0000n;
const OTHERS_SEARCH = 0o001;

/**
 * The topmost ancestor of an absolute path, itself not counted, that a process of an unrelated user can't pass; null when
 * the way is open. Mode bits alone: an ACL that opens the way costs no more than a namespace that was not needed.
 */
export function closedAncestor(path: string): string | null {
  const ancestors: string[] = [];
  for (let at = dirname(path); at !== dirname(at); at = dirname(at)) ancestors.push(at);
  return ancestors.toReversed().find((at) => (statSync(at).mode & OTHERS_SEARCH) === 0) ?? null;
}

/**
 * Makes `directories` (absolute, without symbolic links) reachable for everyone in the calling thread's view of the file
 * system. Does nothing, and answers false, when they are already. Needs CAP_SYS_ADMIN. Throws PENSTOCK_SYS_CALL.
 */
export function openTheWay(directories: readonly string[]): boolean {
  const behind = new Map<string, string[]>();
  for (const directory of directories) {
    const closed = closedAncestor(directory);
    if (closed !== null) behind.set(closed, [...(behind.get(closed) ?? []), directory]);
  }
  if (behind.size === 0) return false;
  check("unshare CLONE_NEWNS", unshareCall(CLONE_NEWNS) as number);
  check("mount MS_PRIVATE", mountCall(null, "/", null, MS_REC | MS_PRIVATE, null) as number);
  for (const [closed, wanted] of behind) coverAncestor(closed, outermost(wanted));
  return true;
}

/** Drops what lies within another of the list. */
function outermost(directories: readonly string[]): string[] {
  const inside = (inner: string, outer: string): boolean => inner !== outer && inner.startsWith(outer + sep);
  return [...new Set(directories)].filter((one) => !directories.some((other) => inside(one, other)));
}

function coverAncestor(closed: string, wanted: readonly string[]): void {
  // Taken before they are covered.
  const trees = wanted.map((path) => ({ path, fd: cloneTree(path) }));
  const flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  check(`mount tmpfs ${closed}`, mountCall("penstock", closed, "tmpfs", flags, "mode=755,size=64k") as number);
  for (const { path, fd } of trees) {
    let at = closed;
    for (const part of relative(closed, path).split(sep)) {
      at += sep + part;
      mkdirSync(at, { mode: 0o755, recursive: true });
    }
    const moved = moveMountCall(SYS_MOVE_MOUNT, fd, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) as number | bigint;
    check(`move_mount ${path}`, moved);
    closeSync(fd);
  }
}

function cloneTree(path: string): number {
  const flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE;
  return check(`open_tree ${path}`, openTreeCall(SYS_OPEN_TREE, AT_FDCWD, path, flags) as number | bigint);
}
