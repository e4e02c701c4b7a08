/**
 * WASI 0.2 for what toolchains put into components without being asked: clocks, chance and a log are there, over the same host calls
 * as anywhere; there are no arguments, files or terminals. What else there is in these interfaces ends the guest when it is called.
 */
import type { AbiFunctionName } from "#sdk/types/abi.ts";
import { type FunctionType, I32, I64 } from "#wasm/validate/types.ts";
import {
  Assembler,
  BLOCK,
  BR,
  BR_IF,
  EMPTY,
  END,
  F64_CONVERT_I64_S,
  F64_DIV,
  F64_MUL,
  F64_SUB,
  I32_ADD,
  I32_EQ,
  I32_EQZ,
  I32_GT_U,
  I32_SUB,
  I32_TRUNC_F64_S,
  I32_WRAP_I64,
  I64_TRUNC_F64_S,
  IF,
  LOOP,
  SELECT,
  UNREACHABLE,
} from "./assembler.ts";
import type { Shim, Surroundings } from "./shim.ts";

/** `wasi:clocks/wall-clock@0.2.12` → `clocks/wall-clock`. Other packages of WASI promise what a plugin can't have. */
const NAME = /^wasi:((?:cli|clocks|filesystem|io|random)\/[a-z-]+)@0\.2\.\d+$/;

const NS_PER_MS = 1e6;
const WRITE_BYTES_MAX = 4096;
const RANDOM_BYTES_MAX = 256;
const STDOUT = 1;
const STDERR = 2;
const LOG_INFO = 1;
const LOG_ERROR = 3;
const NEW_LINE = 10;

type Write = (code: Assembler, around: Surroundings) => void;

interface Row {
  readonly type: FunctionType;
  readonly calls?: readonly AbiFunctionName[];
  readonly allocates?: true;
  readonly write: Write;
}

const byPointer = (params: readonly number[], write: Write, more: Partial<Row> = {}): Row => ({
  type: { params: [...params, I32], results: [] },
  write,
  ...more,
});
const constant = (value: number): Row => ({
  type: { params: [], results: [I32] },
  write: (code) => code.i32(value),
});
/** No value: an option's none, or a result's ok. */
const nothingIn = (param: number): Write => {
  return (code) => code.get(param).i32(0).store8(0);
};
const noList: Row = byPointer([], (code) => code.get(0).i32(4).store32(0).get(0).i32(0).store32(4));

/** Locals: self, pointer, length, answer. A line of the log; the line break at its end is left out. */
const write: Row = byPointer(
  [I32, I32, I32],
  (code, { host }) =>
    code
      .get(2)
      .op(IF, EMPTY)
      .get(1)
      .get(2)
      .op(I32_ADD)
      .i32(1)
      .op(I32_SUB)
      .load8(0)
      .i32(NEW_LINE)
      .op(I32_EQ, IF, EMPTY)
      .get(2)
      .i32(1)
      .op(I32_SUB)
      .set(2)
      .op(END, END)
      .get(2)
      .op(IF, EMPTY)
      .i32(LOG_ERROR)
      .i32(LOG_INFO)
      .get(0)
      .i32(STDERR)
      .op(I32_EQ, SELECT)
      .get(1)
      .i32(WRITE_BYTES_MAX)
      .get(2)
      .get(2)
      .i32(WRITE_BYTES_MAX)
      .op(I32_GT_U, SELECT)
      .call(host("log"))
      .op(END)
      .get(3)
      .i32(0)
      .store8(0),
  { calls: ["log"] },
);

/** Locals: length (i64), answer; ours: pointer, offset, part. In parts of what one host call gives. */
const randomBytes: Row = byPointer(
  [I64],
  (code, { host, realloc }) => {
    const [length, answer, at, done, part] = [0, 1, 2, 3, 4];
    code
      .i32(0)
      .i32(0)
      .i32(1)
      .get(length)
      .op(I32_WRAP_I64)
      .call(realloc ?? 0)
      .set(at);
    code.get(answer).get(at).store32(0).get(answer).get(length).op(I32_WRAP_I64).store32(4);
    code.op(BLOCK, EMPTY, LOOP, EMPTY);
    code.get(length).op(I32_WRAP_I64).get(done).op(I32_SUB).tee(part).op(I32_EQZ, BR_IF, 1);
    code.i32(RANDOM_BYTES_MAX).get(part).get(part).i32(RANDOM_BYTES_MAX).op(I32_GT_U, SELECT).set(part);
    code.get(at).get(done).op(I32_ADD).get(part).call(host("random_bytes"));
    code.get(done).get(part).op(I32_ADD).set(done);
    code.op(BR, 0, END, END);
  },
  { calls: ["random_bytes"], allocates: true },
);

/** Locals: answer; ours: three i32, then milliseconds and seconds as f64. */
const wallClock: Row = byPointer(
  [],
  (code, { host }) => {
    const [answer, ms, seconds] = [0, 4, 5];
    code.call(host("now_ms")).tee(ms).f64(1000).op(F64_DIV, I64_TRUNC_F64_S, F64_CONVERT_I64_S).set(seconds);
    code.get(answer).get(seconds).op(I64_TRUNC_F64_S).store64(0);
    code.get(answer).get(ms).get(seconds).f64(1000).op(F64_MUL, F64_SUB).f64(NS_PER_MS).op(F64_MUL, I32_TRUNC_F64_S);
    code.store32(8);
  },
  { calls: ["now_ms"] },
);

const ROWS: Readonly<Record<string, Row>> = {
  "cli/environment.get-environment": noList,
  "cli/environment.get-arguments": noList,
  "cli/environment.initial-cwd": byPointer([], nothingIn(0)),
  "cli/exit.exit": { type: { params: [I32], results: [] }, write: (code) => code.op(UNREACHABLE) },
  "cli/stdin.get-stdin": constant(0),
  "cli/stdout.get-stdout": constant(STDOUT),
  "cli/stderr.get-stderr": constant(STDERR),
  "cli/terminal-stdin.get-terminal-stdin": byPointer([], nothingIn(0)),
  "cli/terminal-stdout.get-terminal-stdout": byPointer([], nothingIn(0)),
  "cli/terminal-stderr.get-terminal-stderr": byPointer([], nothingIn(0)),
  "io/streams.[method]output-stream.check-write": byPointer([I32], (code) =>
    code.get(1).i32(0).store8(0).get(1).i64(WRITE_BYTES_MAX).store64(8),
  ),
  "io/streams.[method]output-stream.write": write,
  "io/streams.[method]output-stream.blocking-write-and-flush": write,
  "io/streams.[method]output-stream.flush": byPointer([I32], nothingIn(1)),
  "io/streams.[method]output-stream.blocking-flush": byPointer([I32], nothingIn(1)),
  "clocks/wall-clock.now": wallClock,
  "clocks/wall-clock.resolution": byPointer([], (code) =>
    code.get(0).i64(0).store64(0).get(0).i32(NS_PER_MS).store32(8),
  ),
  "clocks/monotonic-clock.now": {
    type: { params: [], results: [I64] },
    calls: ["boot_ms"],
    write: (code, { host }) => code.call(host("boot_ms")).f64(NS_PER_MS).op(F64_MUL, I64_TRUNC_F64_S),
  },
  "clocks/monotonic-clock.resolution": { type: { params: [], results: [I64] }, write: (code) => code.i64(NS_PER_MS) },
  "filesystem/preopens.get-directories": noList,
  "random/random.get-random-bytes": randomBytes,
  "random/insecure.get-insecure-random-bytes": randomBytes,
  "random/insecure-seed.insecure-seed": byPointer(
    [],
    (code, { host }) => code.get(0).i32(16).call(host("random_bytes")),
    { calls: ["random_bytes"] },
  ),
};

export function isWasi(interfaceName: string): boolean {
  return NAME.test(interfaceName);
}

/** `type`: what the component takes it for, which is kept where there is nothing behind it. */
export function wasiShim(interfaceName: string, name: string, type: FunctionType): Shim {
  const row = ROWS[`${NAME.exec(interfaceName)?.[1] ?? ""}.${name}`];
  if (row === undefined) return trapShim(type);
  return {
    type: row.type,
    calls: row.calls ?? [],
    allocates: row.allocates ?? false,
    body: (around) => {
      const code = new Assembler();
      row.write(code, around);
      return code.body({ i32: 3, f64: 2 });
    },
  };
}

/** Ends the guest. */
export function trapShim(type: FunctionType): Shim {
  return {
    type,
    calls: [],
    allocates: false,
    body: () => new Assembler().op(UNREACHABLE).body({ i32: 0, f64: 0 }),
  };
}

/** `resource.drop`: what WASI gives out here is nothing that could be given back. */
export function dropShim(): Shim {
  return {
    type: { params: [I32], results: [] },
    calls: [],
    allocates: false,
    body: () => new Assembler().body({ i32: 0, f64: 0 }),
  };
}
