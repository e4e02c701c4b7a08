/**
 * Seccomp: which system calls the calling thread, and everything it starts, may make. A deny list, since what V8, libuv
 * and libc call changes with their versions; the walls are Landlock and the lack of every privilege, this narrows the
 * kernel that is left to attack. Filters stack: a later one can only refuse more.
 *
 * `compileFilter` is pure: a classic BPF program (include/uapi/linux/filter.h) over struct seccomp_data
 * (include/uapi/linux/seccomp.h): nr at 0, arch at 4, the low half of argument i at 16 + 8 i.
 */
import { addressOf } from "./memory.ts";
import { check, libc } from "./libc.ts";
import { callNumber, IO_URING, REFUSED, SPECIAL } from "./seccomp-calls.ts";
import type { Architecture } from "./seccomp-calls.ts";

export type { Architecture } from "./seccomp-calls.ts";

export interface SeccompPolicy {
  /** bpf(2) on maps: element and batch commands, which need a descriptor from the supervisor. Programs can never be loaded. */
  readonly bpfMaps: boolean;
  readonly ioUring: boolean;
  /** listen(2), also of sockets that nobody has bound: they get a port then, which Landlock doesn't see. */
  readonly listen: boolean;
  /** Address families of socket(2); others, and all when empty, are refused. */
  readonly socketFamilies: readonly number[];
  /** execve(2): the launcher needs it once; `sealProcess` takes it away. */
  readonly execute: boolean;
}

const syscallCall = libc.func("int64_t syscall(int64_t number, uint32_t operation, uint32_t flags, void *program)");

const AUDIT_ARCH = { x64: 0xc000_003e, arm64: 0xc000_00b7 } as const;
/** x86-64 only: calls from here up are the x32 ABI's, whose numbers the table does not know. */
const X32_BIT = 0x4000_0000;

const RET_KILL_PROCESS = 0x8000_0000;
const RET_ERRNO = 0x0005_0000;
const RET_ALLOW = 0x7fff_0000;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

// BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_JMP|JSET|K, BPF_RET|K
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_NOT_BELOW = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;

const NR = 0;
const ARCH = 4;
const argument = (index: number): number => 16 + 8 * index;

const CLONE_THREAD = 0x0001_0000;
/** Writing into the keyboard queue of the terminal we may have inherited. */
const TIOCSTI = 0x5412;
const TIOCLINUX = 0x541c;
/** include/uapi/linux/bpf.h: lookup, update, delete, get-next-key, lookup-and-delete, and the four batch forms. */
const BPF_MAP_COMMANDS = [1, 2, 3, 4, 21, 24, 25, 26, 27];

/** One instruction a row: code, jump if true, jump if false, constant. */
type Program = [code: number, ifTrue: number, ifFalse: number, k: number][];

/** struct sock_filter[] of a policy, 8 bytes each. */
export function compileFilter(architecture: Architecture, policy: SeccompPolicy): Uint8Array {
  const program: Program = [
    [LOAD, 0, 0, ARCH],
    [JUMP_EQUAL, 1, 0, AUDIT_ARCH[architecture]],
    [RETURN, 0, 0, RET_KILL_PROCESS],
    [LOAD, 0, 0, NR],
  ];
  if (architecture === "x64") {
    program.push([JUMP_NOT_BELOW, 0, 1, X32_BIT], [RETURN, 0, 0, RET_ERRNO | EPERM]);
  }
  const number = (name: keyof typeof SPECIAL): number | null => callNumber(SPECIAL[name], architecture);
  const refused = Object.values(REFUSED).map((numbers) => callNumber(numbers, architecture));
  if (!policy.execute) refused.push(number("execve"), number("execveat"));
  if (!policy.listen) refused.push(number("listen"));
  if (!policy.bpfMaps) refused.push(number("bpf"));
  if (!policy.ioUring) refused.push(...Object.values(IO_URING).map((numbers) => callNumber(numbers, architecture)));
  for (const call of refused) onCall(program, call, [[RETURN, 0, 0, RET_ERRNO | EPERM]]);
  // Its flags are in memory, out of a filter's reach: libc then falls back to clone, whose flags are not.
  onCall(program, number("clone3"), [[RETURN, 0, 0, RET_ERRNO | ENOSYS]]);
  onCall(program, number("clone"), [
    [LOAD, 0, 0, argument(0)],
    [JUMP_ANY_BIT, 0, 1, CLONE_THREAD],
    [RETURN, 0, 0, RET_ALLOW],
    [RETURN, 0, 0, RET_ERRNO | EPERM],
  ]);
  onCall(program, number("ioctl"), unless(argument(1), [TIOCSTI, TIOCLINUX], RET_ERRNO | EPERM, RET_ALLOW));
  onCall(
    program,
    number("socket"),
    unless(
      argument(0),
      policy.socketFamilies,
      RET_ALLOW,
      RET_ERRNO | (policy.socketFamilies.length > 0 ? EAFNOSUPPORT : EPERM),
    ),
  );
  if (policy.bpfMaps)
    onCall(program, number("bpf"), unless(argument(0), BPF_MAP_COMMANDS, RET_ALLOW, RET_ERRNO | EPERM));
  program.push([RETURN, 0, 0, RET_ALLOW]);
  return encode(program);
}

/** Runs `body`, which returns on every path, when the call is `nr`. The accumulator holds the number before and after. */
function onCall(program: Program, nr: number | null, body: Program): void {
  if (nr !== null) program.push([JUMP_EQUAL, 0, body.length, nr], ...body);
}

/** Returns `matched` when the word at `offset` is one of `values`, else `otherwise`. */
function unless(offset: number, values: readonly number[], matched: number, otherwise: number): Program {
  const body: Program = [[LOAD, 0, 0, offset]];
  for (const value of values) body.push([JUMP_EQUAL, 0, 1, value], [RETURN, 0, 0, matched]);
  body.push([RETURN, 0, 0, otherwise]);
  return body;
}

/** struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
function encode(program: Program): Uint8Array {
  const view = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(([code, ifTrue, ifFalse, k], i) => {
    view.setUint16(i * 8, code, true);
    view.setUint8(i * 8 + 2, ifTrue);
    view.setUint8(i * 8 + 3, ifFalse);
    view.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return new Uint8Array(view.buffer);
}

const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_GET_ACTION_AVAIL = 2;
const FILTER_FLAG_TSYNC = 1;

/** This machine's table, or null where we have none. */
export function seccompArchitecture(): Architecture | null {
  return process.arch === "x64" || process.arch === "arm64" ? process.arch : null;
}

/** Can filters be installed at all? */
export function seccompAvailable(): boolean {
  const architecture = seccompArchitecture();
  if (architecture === null) return false;
  const action = Uint32Array.of(RET_ERRNO);
  return Number(syscallCall(callNumber(SPECIAL.seccomp, architecture), SECCOMP_GET_ACTION_AVAIL, 0, action)) === 0;
}

/**
 * Installs a policy: on the calling thread, or with `allThreads` on every thread of the process. Needs no_new_privs or
 * CAP_SYS_ADMIN. False on an architecture without a table. Throws PENSTOCK_SYS_CALL.
 */
export function installSeccomp(policy: SeccompPolicy, allThreads = false): boolean {
  const architecture = seccompArchitecture();
  if (architecture === null) return false;
  const filter = compileFilter(architecture, policy);
  // struct sock_fprog: u16 length, padding to 8, pointer.
  const program = new DataView(new ArrayBuffer(16));
  program.setUint16(0, filter.length / 8, true);
  program.setBigUint64(8, addressOf(filter), true);
  const result = syscallCall(
    callNumber(SPECIAL.seccomp, architecture),
    SECCOMP_SET_MODE_FILTER,
    allThreads ? FILTER_FLAG_TSYNC : 0,
    new Uint8Array(program.buffer),
  ) as number | bigint;
  check("seccomp", result);
  // Named once more so that the filter outlives the call that reads it.
  return filter.length > 0;
}
