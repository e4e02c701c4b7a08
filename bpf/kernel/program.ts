/** A program in the kernel. Owns its descriptor; whoever holds that can attach it, so it never leaves the supervisor. */
import type { Fd } from "#core/brands.ts";
import { EAGAIN } from "#core/errno.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, bpfCall, putPointer } from "#sys/bpf.ts";
import { SystemCallError } from "#sys/libc.ts";
import type { ProgramSpec } from "#bpf/spec/spec.ts";
import { closeFd, mustCall, objectInfo, putName, readName } from "./call.ts";
import { asFd } from "#core/brands.ts";
import { attachHint, missingProgramKind } from "./since.ts";
import { VerifierError } from "./verifier.ts";

/** Greater than the log of any program we know (a megabyte); the kernel keeps the end of a longer one (6.4 and later). */
const LOG_BYTES = 8 << 20;
/** The verifier gives up with EAGAIN when a signal is pending; libbpf tries five times as well. */
const ATTEMPTS_MAX = 5;

export interface ProgramInfo {
  readonly type: number;
  readonly id: number;
  readonly name: string;
  /** Instructions the verifier looked at, states included. */
  readonly verifiedInstructions: number;
  /** Counted only while kernel.bpf_stats_enabled is on. */
  readonly runTimeNs: bigint;
  readonly runCount: bigint;
}

export interface TestRunOptions {
  readonly repeat?: number;
  /** The hook's context structure, where it takes one. */
  readonly context?: Buffer;
  /** Bytes of room for the packet as the program leaves it. */
  readonly outputBytes?: number;
}

export interface TestRun {
  readonly returned: number;
  readonly output: Buffer;
  /** Mean of one run, in nanoseconds. */
  readonly durationNs: number;
}

export interface ProgramLoading {
  readonly license: string;
  /** The object's types in the kernel: then function, line and relocation records go with the program. */
  readonly btf: Fd | null;
  /** BTF id of the kernel function or tracepoint that the program is for. */
  readonly targetId?: number;
}

export class Program {
  readonly name: string;
  readonly fd: Fd;
  readonly type: number;
  readonly attachType: number;
  /** What its section names in the kernel: `tcp_connect` of `fentry/tcp_connect`. */
  readonly target: string | null;

  private constructor(fd: Fd, spec: ProgramSpec) {
    this.fd = fd;
    this.name = spec.name;
    this.type = spec.type;
    this.attachType = spec.attachType;
    this.target = spec.target;
  }

  /** Loads and verifies. `instructions` are the spec's, with every reference filled in. Throws VerifierError. */
  static load(spec: ProgramSpec, instructions: Buffer, loading: ProgramLoading): Program {
    // Writing a log is slow, so it is asked for only when there is a refusal to explain.
    const result = attempt(spec, instructions, loading, null);
    if (result >= 0) return new Program(asFd(result), spec);
    const log = Buffer.alloc(LOG_BYTES);
    const second = attempt(spec, instructions, loading, log);
    if (second >= 0) return new Program(asFd(second), spec);
    const end = log.indexOf(0);
    // Without a word of the verifier it did not come that far: the kind is not there, or not allowed.
    if (end === 0) throw loadError(spec, -second);
    throw new VerifierError(spec.name, -second, log.toString("latin1", 0, end < 0 ? log.length : end));
  }

  /** BPF_PROG_TEST_RUN: runs it on these bytes, attached to nothing. */
  testRun(input: Buffer | null, { repeat = 1, context, outputBytes = 4096 }: TestRunOptions = {}): TestRun {
    const attr = Buffer.alloc(80);
    const output = Buffer.alloc(outputBytes);
    attr.writeUInt32LE(this.fd, 0);
    if (input !== null) {
      attr.writeUInt32LE(input.length, 8);
      attr.writeUInt32LE(output.length, 12);
      putPointer(attr, 16, input);
      putPointer(attr, 24, output);
      attr.writeUInt32LE(repeat, 32);
    }
    if (context !== undefined) {
      attr.writeUInt32LE(context.length, 40);
      putPointer(attr, 48, context);
    }
    mustCall(BPF.PROG_TEST_RUN, attr, `prog_test_run ${this.name}`);
    return {
      returned: attr.readUInt32LE(4),
      output: output.subarray(0, attr.readUInt32LE(12)),
      durationNs: attr.readUInt32LE(36),
    };
  }

  info(): ProgramInfo {
    return programInfo(this.fd);
  }

  close(): void {
    closeFd(this.fd);
  }
}

function loadError(spec: ProgramSpec, errno: number): Error {
  const cause = new SystemCallError("bpf prog_load", errno, `${spec.name} (${spec.section})`);
  const missing = missingProgramKind(spec.type, spec.attachType) ?? attachHint(spec.attachType, errno);
  if (missing === null) return bpfError("PENSTOCK_BPF_CALL", { detail: cause.message, cause });
  return bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: `${cause.message}: ${missing}`, cause });
}

/** struct bpf_prog_info */
export function programInfo(fd: Fd): ProgramInfo {
  const info = objectInfo(fd, 232);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    name: readName(info, 64),
    runTimeNs: info.readBigUInt64LE(192),
    runCount: info.readBigUInt64LE(200),
    verifiedInstructions: info.readUInt32LE(216),
  };
}

function attempt(spec: ProgramSpec, instructions: Buffer, loading: ProgramLoading, log: Buffer | null): number {
  const license = Buffer.from(`${loading.license}\0`, "latin1");
  const attr = Buffer.alloc(152);
  attr.writeUInt32LE(spec.type, 0);
  attr.writeUInt32LE(instructions.length / 8, 4);
  putPointer(attr, 8, instructions);
  putPointer(attr, 16, license);
  if (log !== null) {
    attr.writeUInt32LE(1, 24);
    attr.writeUInt32LE(log.length, 28);
    putPointer(attr, 32, log);
  }
  attr.writeUInt32LE(spec.flags, 44);
  putName(attr, 48, spec.name);
  attr.writeUInt32LE(spec.attachType, 68);
  if (loading.btf !== null && spec.functions.count > 0) putRecords(attr, spec, loading.btf);
  if (loading.targetId !== undefined) attr.writeUInt32LE(loading.targetId, 108);
  let result = bpfCall(BPF.PROG_LOAD, attr);
  for (let i = 1; result === -EAGAIN && i < ATTEMPTS_MAX; i++) result = bpfCall(BPF.PROG_LOAD, attr);
  return result;
}

/** Function and line records, and CO-RE relocations, which the kernel resolves against its own types (5.17 and later). */
function putRecords(attr: Buffer, { functions, lines, relocations }: ProgramSpec, btf: Fd): void {
  attr.writeUInt32LE(btf, 72);
  attr.writeUInt32LE(functions.recordBytes, 76);
  putPointer(attr, 80, functions.bytes);
  attr.writeUInt32LE(functions.count, 88);
  if (lines.count > 0) {
    attr.writeUInt32LE(lines.recordBytes, 92);
    putPointer(attr, 96, lines.bytes);
    attr.writeUInt32LE(lines.count, 104);
  }
  if (relocations.count > 0) {
    attr.writeUInt32LE(relocations.count, 116);
    putPointer(attr, 128, relocations.bytes);
    attr.writeUInt32LE(relocations.recordBytes, 136);
  }
}
