/**
 * The one door to native code: libc through koffi. Everything that calls into C lives in this room; a call costs about
 * 0.2 µs, so the data plane makes one per batch of events, never one per event.
 */
import koffi from "koffi";
import { sysError } from "#core/errors/sys.ts";

export { koffi };
export const libc = koffi.load("libc.so.6");

const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, value]) => [value, name]));

/** errno of the last libc call made on this thread. */
export const errno = (): number => koffi.errno();

/** `ENOENT` for 2; the number itself where the platform has no name for it. */
export function errnoName(value: number): string {
  return errnoNames.get(value) ?? `errno ${value}`;
}

/** A failed call as a registered error: names the call and the errno. */
export class SystemCallError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly call: string;
  constructor(call: string, value: number, more?: string) {
    super(`${call}: ${errnoName(value)}${more === undefined ? "" : ` (${more})`}`);
    this.name = "SystemCallError";
    this.errno = value;
    this.code = errnoName(value);
    this.call = call;
  }
}

/** Throws when a call returned a negative value; answers it otherwise. Source: every libc wrapper returns −1 and sets errno. */
export function check(call: string, result: number | bigint): number {
  const value = Number(result);
  if (value < 0) {
    const cause = new SystemCallError(call, errno());
    throw sysError("PENSTOCK_SYS_CALL", { detail: cause.message, cause });
  }
  return value;
}
