/** The filters, run by a small interpreter of classic BPF: what each system call is answered with, on both architectures. */
import { describe, expect, test } from "vitest";
import { compileFilter } from "#sys/seccomp.ts";
import type { Architecture, SeccompPolicy } from "#sys/seccomp.ts";
import { REFUSED, callNumber } from "#sys/seccomp-calls.ts";

const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 };
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const EAFNOSUPPORT = 0x00050061;

const WORKER: SeccompPolicy = {
  bpfMaps: true,
  ioUring: true,
  listen: false,
  socketFamilies: [1, 2, 10],
  execute: true,
};
const BUILDER: SeccompPolicy = { bpfMaps: false, ioUring: false, listen: true, socketFamilies: [], execute: false };

/** Runs a program over struct seccomp_data; throws on whatever the kernel's checker would refuse. */
function run(program: Uint8Array, arch: number, nr: number, args: readonly number[]): number {
  const view = new DataView(program.buffer);
  const word = (offset: number): number => {
    if (offset === 0) return nr;
    if (offset === 4) return arch;
    const value = args[(offset - 16) / 8];
    if (value === undefined) throw new Error(`reads at ${offset}`);
    return value;
  };
  let accumulator = 0;
  for (let at = 0; at < program.length / 8; at++) {
    const k = view.getUint32(at * 8 + 4, true);
    const jump = (taken: boolean): number => view.getUint8(at * 8 + (taken ? 2 : 3));
    switch (view.getUint16(at * 8, true)) {
      case 0x20:
        accumulator = word(k) >>> 0;
        break;
      case 0x15:
        at += jump(accumulator === k);
        break;
      case 0x35:
        at += jump(accumulator >= k);
        break;
      case 0x45:
        at += jump((accumulator & k) !== 0);
        break;
      case 0x06:
        return k;
      default:
        throw new Error(`unknown instruction at ${at}`);
    }
  }
  throw new Error("ran off the end");
}

function answer(arch: Architecture, policy: SeccompPolicy, nr: number, args: readonly number[] = []): number {
  return run(compileFilter(arch, policy), AUDIT[arch], nr, [...args, 0, 0, 0, 0, 0, 0].slice(0, 6));
}

const BOTH: readonly Architecture[] = ["x64", "arm64"];

describe.each(BOTH)("on %s", (arch) => {
  const pick = <T>(x64: T, arm64: T): T => (arch === "x64" ? x64 : arm64);

  test("every call of the table is refused", () => {
    for (const [name, numbers] of Object.entries(REFUSED)) {
      const nr = callNumber(numbers, arch);
      if (nr !== null) expect([name, answer(arch, WORKER, nr)]).toEqual([name, EPERM]);
    }
  });

  test.each([
    ["read", pick(0, 63), [], ALLOW],
    ["futex", pick(202, 98), [], ALLOW],
    ["mmap", pick(9, 222), [], ALLOW],
    ["sendmsg", pick(46, 211), [], ALLOW],
    ["execve", pick(59, 221), [], ALLOW],
    ["listen", pick(50, 201), [], EPERM],
    ["io_uring_setup", 425, [], ALLOW],
    ["clone of a thread", pick(56, 220), [0x3d0f00], ALLOW],
    ["clone of a process", pick(56, 220), [0x1200011], EPERM],
    ["clone3", 435, [], ENOSYS],
    ["bpf map lookup", pick(321, 280), [1], ALLOW],
    ["bpf map creation", pick(321, 280), [0], EPERM],
    ["bpf program load", pick(321, 280), [5], EPERM],
    ["bpf object pin", pick(321, 280), [6], EPERM],
    ["bpf lookup and delete", pick(321, 280), [21], ALLOW],
    ["bpf batch lookup", pick(321, 280), [24], ALLOW],
    ["bpf link creation", pick(321, 280), [28], EPERM],
    ["ioctl FIONREAD", pick(16, 29), [1, 0x541b], ALLOW],
    ["ioctl TIOCSTI", pick(16, 29), [0, 0x5412], EPERM],
    ["ioctl TIOCLINUX", pick(16, 29), [0, 0x541c], EPERM],
    ["socket AF_INET", pick(41, 198), [2], ALLOW],
    ["socket AF_UNIX", pick(41, 198), [1], ALLOW],
    ["socket AF_PACKET", pick(41, 198), [17], EAFNOSUPPORT],
    ["socket AF_VSOCK", pick(41, 198), [40], EAFNOSUPPORT],
  ])("a worker: %s", (_name, nr, args, expected) => {
    expect(answer(arch, WORKER, nr, args)).toBe(expected);
  });

  test.each([
    ["socket AF_INET", pick(41, 198), [2], EPERM],
    ["bpf map lookup", pick(321, 280), [1], EPERM],
    ["io_uring_setup", 425, [], EPERM],
    ["execve", pick(59, 221), [], EPERM],
    ["execveat", pick(322, 281), [], EPERM],
  ])("a sealed builder: %s", (_name, nr, args, expected) => {
    expect(answer(arch, BUILDER, nr, args)).toBe(expected);
  });

  test("another architecture's calls kill", () => {
    const other = arch === "x64" ? AUDIT.arm64 : AUDIT.x64;
    expect(run(compileFilter(arch, WORKER), other, 0, [0, 0, 0, 0, 0, 0])).toBe(KILL);
    // i386 calls, made with int 0x80 from 64-bit code.
    expect(run(compileFilter(arch, WORKER), 0x40000003, 0, [0, 0, 0, 0, 0, 0])).toBe(KILL);
  });
});

test("x32 calls are refused: their numbers would slip by the table", () => {
  expect(answer("x64", WORKER, 0x40000000 + 101)).toBe(EPERM);
});
