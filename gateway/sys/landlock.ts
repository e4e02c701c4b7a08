/**
 * Landlock: what the calling thread, and everything it executes, may still reach. Deny by default, with rules for what
 * stays open; layers only ever take away. Source: include/uapi/linux/landlock.h, Documentation/userspace-api/landlock.rst.
 */
import { closeSync, existsSync, openSync, statSync } from "node:fs";
import { check, libc } from "./libc.ts";

const createCall = libc.func("int64_t syscall(int64_t number, void *attr, size_t size, uint32_t flags)");
const addRuleCall = libc.func("int64_t syscall(int64_t number, int ruleset, int type, void *attr, uint32_t flags)");
const restrictCall = libc.func("int64_t syscall(int64_t number, int ruleset, uint32_t flags)");

// The numbers are the same on every architecture.
const SYS_LANDLOCK_CREATE_RULESET = 444;
const SYS_LANDLOCK_ADD_RULE = 445;
const SYS_LANDLOCK_RESTRICT_SELF = 446;
const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1;
const RULE_NET_PORT = 2;
const O_PATH = 0o10000000;

// LANDLOCK_ACCESS_FS_*
const EXECUTE = 1n << 0n;
const WRITE_FILE = 1n << 1n;
const READ_FILE = 1n << 2n;
const READ_DIR = 1n << 3n;
const TRUNCATE = 1n << 14n;
const IOCTL_DEV = 1n << 15n;
/** What may be asked of something that is not a directory; more is EINVAL. */
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

// LANDLOCK_ACCESS_NET_*
const BIND_TCP = 1n << 0n;
const CONNECT_TCP = 1n << 1n;

export type FileAccess =
  /** Contents and listings. */
  | "read"
  /** That, and execve. */
  | "execute"
  /** That of an existing device or file, read and written. */
  | "device"
  /** Everything but execve and device ioctls, in a whole directory. */
  | "own";

export interface LandlockPolicy {
  /** Paths that do not exist are left out. */
  readonly files: readonly { readonly path: string; readonly access: FileAccess }[];
  /** TCP ports that may be bound; the rest may not (ABI 4). */
  readonly bindPorts: readonly number[];
  /** May TCP connections be opened (ABI 4)? */
  readonly connect: boolean;
}

/** The kernel's Landlock ABI, 0 where it has none, or has it switched off. */
export function landlockAbi(): number {
  const abi = Number(createCall(SYS_LANDLOCK_CREATE_RULESET, null, 0, CREATE_RULESET_VERSION));
  return abi < 0 ? 0 : abi;
}

/** Every file right that this ABI can restrict: what it does not know it must not be asked. */
function handledFiles(abi: number): bigint {
  if (abi >= 5) return (1n << 16n) - 1n;
  if (abi >= 3) return (1n << 15n) - 1n;
  if (abi === 2) return (1n << 14n) - 1n;
  return (1n << 13n) - 1n;
}

function rights(access: FileAccess, abi: number): bigint {
  switch (access) {
    case "read":
      return READ_FILE | READ_DIR;
    case "execute":
      return READ_FILE | READ_DIR | EXECUTE;
    case "device":
      return READ_FILE | WRITE_FILE;
    case "own":
      return handledFiles(abi) & ~EXECUTE & ~IOCTL_DEV;
  }
}

/**
 * Restricts the calling thread; needs no_new_privs or CAP_SYS_ADMIN. Other threads are not touched: call it before an
 * execve. Processes in different calls' domains can neither signal nor trace each other (ABI 6). Does nothing and answers
 * false where the kernel has no Landlock. Throws PENSTOCK_SYS_CALL, and the errors of open(2).
 */
export function restrictByLandlock(policy: LandlockPolicy): boolean {
  const abi = landlockAbi();
  if (abi === 0) return false;
  const ruleset = createRuleset(abi, policy);
  try {
    for (const { path, access } of policy.files) if (existsSync(path)) addPath(ruleset, path, rights(access, abi));
    if (abi >= 4) for (const port of policy.bindPorts) addPort(ruleset, port);
    check("landlock_restrict_self", restrictCall(SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0) as number);
  } finally {
    closeSync(ruleset);
  }
  return true;
}

/** struct landlock_ruleset_attr: handled_access_fs, handled_access_net (ABI 4), scoped (ABI 6: abstract sockets, signals). */
function createRuleset(abi: number, policy: LandlockPolicy): number {
  const net = policy.connect ? BIND_TCP : BIND_TCP | CONNECT_TCP;
  const attr = BigUint64Array.of(handledFiles(abi), net, 3n);
  const bytes = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  return check("landlock_create_ruleset", createCall(SYS_LANDLOCK_CREATE_RULESET, attr, bytes, 0) as number);
}

/** struct landlock_path_beneath_attr, packed: u64 allowed_access, s32 parent_fd. */
function addPath(ruleset: number, path: string, allowed: bigint): void {
  const fd = openSync(path, O_PATH);
  try {
    const attr = new DataView(new ArrayBuffer(12));
    attr.setBigUint64(0, statSync(path).isDirectory() ? allowed : allowed & OF_FILES, true);
    attr.setInt32(8, fd, true);
    const bytes = new Uint8Array(attr.buffer);
    check(
      `landlock_add_rule ${path}`,
      addRuleCall(SYS_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, bytes, 0) as number,
    );
  } finally {
    closeSync(fd);
  }
}

/** struct landlock_net_port_attr: u64 allowed_access, u64 port. */
function addPort(ruleset: number, port: number): void {
  const attr = BigUint64Array.of(BIND_TCP, BigInt(port));
  check(
    `landlock_add_rule port ${port}`,
    addRuleCall(SYS_LANDLOCK_ADD_RULE, ruleset, RULE_NET_PORT, attr, 0) as number,
  );
}
