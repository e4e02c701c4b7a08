/**
 * Calls of hooks that may wait. The engine tells the end of a call that can be suspended by a promise, also when it was not: a hook that had
 * nothing to wait for would still end behind whatever its caller does next, and each piece of a body would have to be kept for it. So
 * functions of ours are called, which call the hook and then `ended` with what it has answered: at once, if it did not wait.
 *
 *     promising(call1)(hook, last, record)      call1: call_ref hook (last) ─▶ action ─▶ ended(record, action)
 *
 * One instance serves all guests of the process. It keeps nothing: whose the call is stands in the record that goes with it.
 */
import { ByteWriter } from "#wasm/meter/writer.ts";
import { EXTERNREF, I32, KIND_FUNCTION } from "#wasm/validate/types.ts";
import { around } from "./entries.ts";
import { ACTION_CONTINUE, type GuestHooks } from "./hooks.ts";
import {
  PHASE_CONNECTION,
  PHASE_DATA,
  PHASE_END,
  PHASE_MESSAGE,
  PHASE_REQUEST_BODY,
  PHASE_REQUEST_END,
  PHASE_RESPONSE_BODY,
  PHASE_RESPONSE_END,
  PHASE_TICK,
} from "./phases.ts";
import type { GuestFunction } from "./runtime.ts";

/** What becomes of one call. */
export interface CallRecord {
  /** The hook has come back, with `action`. False while it waits, and for good when it has trapped. */
  ended: boolean;
  action: number;
}

type Call<Args extends unknown[]> = (hook: unknown, ...args: [...Args, CallRecord]) => Promise<unknown>;

interface Calls {
  readonly call0: Call<[]>;
  readonly call1: Call<[number]>;
  readonly call2: Call<[number, number]>;
  /** Of a hook that answers nothing: ACTION_CONTINUE. */
  readonly tell: Call<[]>;
}

let made: Calls | null = null;

/**
 * Begins the hook of a phase, one that the guest exports. Is it over already, `record.ended` is true; else the promise tells the end, and rejects when
 * the hook has trapped.
 */
export function beginHook(
  hooks: GuestHooks,
  phase: number,
  last: number,
  direction: number,
  record: CallRecord,
): Promise<unknown> {
  return begin(hookOf(hooks, phase), phase, last, direction, record);
}

/** The same where an interposer stands before the guest's exports: it sees the hook come back when it does. */
export function beginInterposed(
  hooks: GuestHooks,
  phase: number,
  last: number,
  direction: number,
  record: CallRecord,
): Promise<unknown> {
  const answer = (): number | undefined => (answers(phase) ? record.action : undefined);
  const hook = around(hookOf(hooks, phase), (run) => () => {
    const over = begin(run, phase, last, direction, record);
    return record.ended ? answer() : over.then(answer);
  });
  const given = phase === PHASE_DATA ? [direction, last] : [last];
  return Promise.resolve(hook(...given));
}

function begin(hook: unknown, phase: number, last: number, direction: number, record: CallRecord): Promise<unknown> {
  made ??= makeCalls();
  switch (phase) {
    case PHASE_REQUEST_BODY:
    case PHASE_RESPONSE_BODY:
      return made.call1(hook, last, record);
    case PHASE_DATA:
      return made.call2(hook, direction, last, record);
    case PHASE_CONNECTION:
      return made.call0(hook, record);
    default:
      return made.tell(hook, record);
  }
}

const ANSWERING: number = PHASE_REQUEST_BODY | PHASE_RESPONSE_BODY | PHASE_DATA | PHASE_CONNECTION;

function answers(phase: number): boolean {
  return (phase & ANSWERING) !== 0;
}

function hookOf(hooks: GuestHooks, phase: number): GuestFunction {
  switch (phase) {
    case PHASE_REQUEST_BODY:
      return hooks.requestBody as GuestFunction;
    case PHASE_RESPONSE_BODY:
      return hooks.responseBody as GuestFunction;
    case PHASE_DATA:
      return hooks.data as GuestFunction;
    case PHASE_CONNECTION:
      return hooks.connection;
    case PHASE_REQUEST_END:
      return hooks.requestEnd;
    case PHASE_RESPONSE_END:
      return hooks.responseEnd;
    case PHASE_END:
      return hooks.end;
    case PHASE_TICK:
      return hooks.tick;
    case PHASE_MESSAGE:
      return hooks.message;
    default:
      throw new RangeError(`no hook of phase ${phase} can wait here`);
  }
}

function ended(record: CallRecord, action: number): void {
  record.ended = true;
  record.action = action;
}

function makeCalls(): Calls {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(moduleBytes()), { penstock: { ended } });
  const promising = (name: string): never => WebAssembly.promising(exports[name] as never) as never;
  return { call0: promising("call0"), call1: promising("call1"), call2: promising("call2"), tell: promising("tell") };
}

const FUNCTION_TYPE = 0x60;
/** `(ref T)`: followed by T. */
const REFERENCE = 0x64;
const LOCAL_GET = 0x20;
const I32_CONST = 0x41;
const CALL = 0x10;
const CALL_REF = 0x14;
const END = 0x0b;

/** How many numbers each function hands to the hook, and whether that answers one. */
const SHAPES: readonly (readonly [name: keyof Calls, numbers: number, answers: boolean])[] = [
  ["call0", 0, true],
  ["call1", 1, true],
  ["call2", 2, true],
  ["tell", 0, false],
];

/** Function types: the hooks' by shape, the functions' own by shape, and that of `ended`. */
const ENDED_TYPE = 2 * SHAPES.length;

function moduleBytes(): Uint8Array {
  const out = new ByteWriter();
  out.code(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  out.section(1, types());
  const imports = new ByteWriter();
  imports.u8(1);
  imports.name("penstock");
  imports.name("ended");
  imports.code(KIND_FUNCTION, ENDED_TYPE);
  out.section(2, imports);
  const [functions, exports, code] = [new ByteWriter(), new ByteWriter(), new ByteWriter()];
  for (const section of [functions, exports, code]) section.u8(SHAPES.length);
  for (const [shape, [name, numbers, answers]] of SHAPES.entries()) {
    functions.u8(SHAPES.length + shape);
    exports.name(name);
    exports.code(KIND_FUNCTION, 1 + shape);
    const body = bodyOf(shape, numbers, answers);
    code.u8(body.length);
    code.raw(body.bytes());
  }
  out.section(3, functions);
  out.section(7, exports);
  out.section(10, code);
  return out.bytes();
}

function types(): ByteWriter {
  const out = new ByteWriter();
  out.u8(ENDED_TYPE + 1);
  const numbersOf = (count: number): number[] => Array.from({ length: count }, () => I32);
  for (const [, numbers, answers] of SHAPES) {
    out.code(FUNCTION_TYPE, numbers, ...numbersOf(numbers), ...(answers ? [1, I32] : [0]));
  }
  for (const [shape, [, numbers]] of SHAPES.entries()) {
    out.code(FUNCTION_TYPE, numbers + 2, REFERENCE, shape, ...numbersOf(numbers), EXTERNREF, 0);
  }
  out.code(FUNCTION_TYPE, 2, EXTERNREF, I32, 0);
  return out;
}

/** Parameters: the hook, its numbers, the record. */
function bodyOf(shape: number, numbers: number, answers: boolean): ByteWriter {
  const out = new ByteWriter();
  out.u8(0);
  out.code(LOCAL_GET, numbers + 1);
  for (let number = 1; number <= numbers; number++) out.code(LOCAL_GET, number);
  out.code(LOCAL_GET, 0, CALL_REF, shape);
  if (!answers) out.code(I32_CONST, ACTION_CONTINUE);
  out.code(CALL, 0, END);
  return out;
}
