/**
 * What guests write to their standard streams, as lines of the log. A stream without a buffer, as standard error is, comes in pieces: they
 * are put together until one ends with a line break, or the loop's turn is over.
 */
import type { Guest } from "#wasm/guest/guest.ts";
import { logLine } from "#wasm/host/log-line.ts";

type Level = "info" | "error";

const LINE_BYTES_MAX = 16 * 1024;

/** By guest: the beginnings of lines. */
const unfinished = new WeakMap<Guest, Map<Level, string>>();

/** `text`: bytes, one a character, of UTF-8. */
export function write(guest: Guest, level: Level, text: string): void {
  const begun = unfinished.get(guest)?.get(level) ?? "";
  const all = begun + text;
  if (all === "") return;
  if (all.endsWith("\n") || all.length > LINE_BYTES_MAX) {
    unfinished.get(guest)?.delete(level);
    finish(guest, level, all);
    return;
  }
  // Should it end in the middle of a line, that says why.
  guest.lastLog = decoded(all);
  if (begun === "") setImmediate(() => flush(guest, level));
  const lines = unfinished.get(guest) ?? new Map<Level, string>();
  unfinished.set(guest, lines.set(level, all));
}

function flush(guest: Guest, level: Level): void {
  const lines = unfinished.get(guest);
  const text = lines?.get(level) ?? "";
  lines?.delete(level);
  if (text === "") return;
  const { services, logs, name } = guest.environment;
  // Of one that has ended as well: it is what it said last.
  if (logs.take(services.nowMs())) services.log(level, name, decoded(text));
}

function finish(guest: Guest, level: Level, text: string): void {
  const line = decoded(text).replace(/\n$/, "");
  if (line !== "") logLine(guest, level, line);
}

function decoded(text: string): string {
  return Buffer.from(text, "latin1").toString("utf8");
}
