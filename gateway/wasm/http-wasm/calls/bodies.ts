/** Host calls over bodies, configuration and log. A body is whole when the guest can read it: the filter has seen to that. */
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { logLine } from "#wasm/host/log-line.ts";
import { isInMemory, textAt, viewOf, writeBytes } from "#wasm/host/memory.ts";
import {
  FEATURE_BUFFER_RESPONSE,
  FEATURES,
  type HANDLER_CALLS,
  KIND_REQUEST,
  KIND_RESPONSE,
  LOG_DEBUG,
  LOG_ERROR,
} from "#wasm/http-wasm/abi.ts";
import { type HandlerBody, handlerOf } from "#wasm/http-wasm/handler.ts";
import { putBytes } from "./heads.ts";

type Names = "enable_features" | "get_config" | "log" | "log_enabled" | "read_body" | "write_body";

/** Of one body that a guest reads or writes. */
export const BODY_BYTES_MAX = 1024 * 1024;
const LINE_BYTES_MAX = 4096;
const LEVELS = ["info", "warn", "error"] as const;
const END = 1n << 32n;

/** Null: it can't be had now, and the guest has been ended. */
function bodyOf(guest: Guest, kind: number, what: string): HandlerBody | null {
  const { request, response, afterNext, features } = handlerOf(guest);
  if (kind === KIND_REQUEST && !(what === "write" && afterNext)) return request;
  const buffered = (features & FEATURE_BUFFER_RESPONSE) !== 0;
  if (kind === KIND_RESPONSE && (what === "write" ? !afterNext || buffered : afterNext && buffered)) return response;
  guest.fail(`a ${what} of the body ${kind} at a time when that can't be`);
  return null;
}

export const bodyCalls: Handlers<Pick<typeof HANDLER_CALLS, Names>> = {
  enable_features: (guest) => (wanted) => {
    const handler = handlerOf(guest);
    handler.features |= wanted & FEATURES;
    return handler.features;
  },

  get_config: (guest) => (pointer, limit) => putBytes(guest, handlerOf(guest).configuration, pointer, limit),

  log: (guest) => (level, pointer, length) => {
    if (level < 0 || level > LOG_ERROR) return;
    const text = textAt(guest, pointer, Math.min(length >>> 0, LINE_BYTES_MAX));
    if (text === null) guest.fail("a log line outside the memory");
    else logLine(guest, LEVELS[level] ?? "info", text);
  },

  log_enabled: () => (level) => (level > LOG_DEBUG && level <= LOG_ERROR ? 1 : 0),

  read_body: (guest) => (kind, pointer, limit) => {
    const body = bodyOf(guest, kind, "read");
    if (body === null) return 0n;
    if (limit === 0 || !isInMemory(guest, pointer, limit)) {
      guest.fail(`a read of a body into ${limit >>> 0} bytes at ${pointer >>> 0}`);
      return 0n;
    }
    const bytes = body.bytes ?? new Uint8Array();
    const part = bytes.subarray(body.read, body.read + (limit >>> 0));
    writeBytes(guest, pointer, part);
    body.read += part.length;
    return (body.read >= bytes.length ? END : 0n) | BigInt(part.length);
  },

  write_body: (guest) => (kind, pointer, length) => {
    const body = bodyOf(guest, kind, "write");
    if (body === null) return;
    const view = viewOf(guest, pointer, length);
    body.writtenBytes += length >>> 0;
    if (view === null || body.writtenBytes > BODY_BYTES_MAX) {
      guest.fail(`a write of ${length >>> 0} bytes at ${pointer >>> 0}, outside the memory or too long`);
      return;
    }
    body.written ??= [];
    body.written.push(view.slice());
  },
};
