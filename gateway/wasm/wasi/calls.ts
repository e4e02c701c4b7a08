/**
 * WASI for plugins of other gateways: clocks, chance and a log. There are no arguments, no environment, no files; standard
 * output is logged at `info`, standard error at `error` (`lines.ts`). Leaving the process is a fault: a plugin has none.
 */
import { randomFillSync } from "node:crypto";
import type { Guest } from "#wasm/guest/guest.ts";
import type { HostCall, HostFunction } from "#wasm/guest/runtime.ts";
import { type Handlers, hostCalls, type Trait } from "#wasm/host/call-table.ts";
import { isInMemory, latin1At, readU32, writeBytes, writeU32, writeU64 } from "#wasm/host/memory.ts";
import { write } from "./lines.ts";
import {
  WASI_ABSENT,
  WASI_BADF,
  WASI_CALLS,
  WASI_FAULT,
  WASI_INVAL,
  WASI_MODULES,
  WASI_NOSYS,
  WASI_NOTSUP,
  WASI_SUCCESS,
} from "./signatures.ts";

const RANDOM_BYTES_MAX = 65_536;
const RANDOM_COST = 1_000;
const STDOUT = 1;
const STDERR = 2;
const CLOCK_MONOTONIC = 1;
const IOVECS_MAX = 64;
const LINE_BYTES_MAX = 16 * 1024;
/** `fd_write` may be used: __WASI_RIGHTS_FD_WRITE. */
const RIGHT_TO_WRITE = 64;

function twoZeros(guest: Guest): (first: number, second: number) => number {
  return (first, second) => (writeU32(guest, first, 0) && writeU32(guest, second, 0) ? WASI_SUCCESS : WASI_FAULT);
}

/** Nanoseconds since the epoch, as of the start of this turn. It never goes back, so it is the monotonic clock too. */
export function nowNs(guest: Guest): bigint {
  return BigInt(Math.round(guest.environment.services.nowMs() * 1000)) * 1000n;
}

/** Text of the vectors, or an error number. */
function gather(guest: Guest, vectors: number, count: number): { text: string; bytes: number } | number {
  if (count >>> 0 > IOVECS_MAX) return WASI_INVAL;
  if (!isInMemory(guest, vectors, count * 8)) return WASI_FAULT;
  let text = "";
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    const pointer = readU32(guest.bytes, (vectors >>> 0) + index * 8);
    const length = readU32(guest.bytes, (vectors >>> 0) + index * 8 + 4);
    const part = latin1At(guest, pointer, Math.min(length, LINE_BYTES_MAX));
    if (part === null || !isInMemory(guest, pointer, length)) return WASI_FAULT;
    text += part;
    bytes += length;
  }
  return { text, bytes };
}

const handlers: Handlers<typeof WASI_CALLS> = {
  args_get: () => () => WASI_SUCCESS,
  args_sizes_get: twoZeros,
  environ_get: () => () => WASI_SUCCESS,
  environ_sizes_get: twoZeros,

  clock_res_get: (guest) => (clock, pointer) => {
    if (clock >>> 0 > CLOCK_MONOTONIC) return WASI_NOTSUP;
    return writeU64(guest, pointer, 1_000_000n) ? WASI_SUCCESS : WASI_FAULT;
  },

  clock_time_get: (guest) => (clock, _precision, pointer) => {
    if (clock >>> 0 > CLOCK_MONOTONIC) return WASI_NOTSUP;
    return writeU64(guest, pointer, nowNs(guest)) ? WASI_SUCCESS : WASI_FAULT;
  },

  random_get: (guest) => (pointer, length) => {
    if (length >>> 0 > RANDOM_BYTES_MAX) return WASI_INVAL;
    if (!isInMemory(guest, pointer, length)) return WASI_FAULT;
    guest.charge(RANDOM_COST + (length >>> 0));
    randomFillSync(guest.bytes, pointer >>> 0, length >>> 0);
    guest.wrote(pointer >>> 0, length >>> 0);
    return WASI_SUCCESS;
  },

  sched_yield: () => () => WASI_SUCCESS,

  proc_exit: (guest) => (code) => {
    guest.fail(`it left its process, with code ${code}${guest.lastLog === "" ? "" : `: ${guest.lastLog}`}`);
  },

  fd_write: (guest) => (fd, vectors, count, written) => {
    if (fd !== STDOUT && fd !== STDERR) return WASI_BADF;
    const gathered = gather(guest, vectors, count);
    if (typeof gathered === "number") return gathered;
    if (!writeU32(guest, written, gathered.bytes)) return WASI_FAULT;
    write(guest, fd === STDOUT ? "info" : "error", gathered.text);
    return WASI_SUCCESS;
  },

  fd_close: () => (fd) => (fd === STDOUT || fd === STDERR ? WASI_SUCCESS : WASI_BADF),

  // A stream has no position: that is how libraries tell it from a file.
  fd_seek: () => () => WASI_BADF,

  fd_fdstat_get: (guest) => (fd, pointer) => {
    if (fd !== STDOUT && fd !== STDERR) return WASI_BADF;
    const stat = new Uint8Array(24);
    stat[0] = 2; // __WASI_FILETYPE_CHARACTER_DEVICE
    stat[8] = RIGHT_TO_WRITE;
    return writeBytes(guest, pointer, stat) ? WASI_SUCCESS : WASI_FAULT;
  },

  // The first of them says that no folder is open, and a library asks no further.
  fd_prestat_get: () => () => WASI_BADF,

  // There is nothing to wait for: a runtime that polls goes on at once.
  poll_oneoff: (guest) => (_in, _out, _count, events) => (writeU32(guest, events, 0) ? WASI_SUCCESS : WASI_FAULT),
};

const QUIET: ReadonlySet<string> = new Set(["random_get", "clock_time_get"]);

function trait(name: string): Trait {
  if (name === "fd_write") return { effect: "acts", suppressed: WASI_SUCCESS };
  return { effect: QUIET.has(name) ? "reads" : "none", suppressed: WASI_NOTSUP };
}

const absent: readonly HostCall[] = WASI_MODULES.flatMap((module) =>
  Object.keys(WASI_ABSENT).map((name) => ({
    module,
    name,
    make: (): HostFunction => () => WASI_NOSYS,
    effect: "none",
    suspends: false,
    suppressed: WASI_NOSYS,
  })),
);

/** By both of WASI's names. */
export const WASI_HOST_CALLS: readonly HostCall[] = [...hostCalls(WASI_MODULES, handlers, trait), ...absent];
