/** Conditional requests (RFC 9110 section 13), for those who answer from a copy of their own. */
import type { Head } from "#http/head.ts";

export interface Validators {
  /** As in an ETag field, quotes and `W/` included; empty for none. */
  readonly etag: string;
  /** Milliseconds since the epoch, of whole seconds; NaN for none. */
  readonly modifiedMs: number;
}

export const PROCEED = 0;
export const NOT_MODIFIED = 304;
export const PRECONDITION_FAILED = 412;

/** Section 13.2.2, for GET and HEAD: 0, 304 or 412. */
export function conditionOf(request: Head, { etag, modifiedMs }: Validators): 0 | 304 | 412 {
  const match = request.get("if-match");
  if (match !== undefined) {
    if (!listed(match, etag, true)) return PRECONDITION_FAILED;
  } else {
    const unmodified = dateOf(request.get("if-unmodified-since"));
    if (modifiedMs > unmodified) return PRECONDITION_FAILED;
  }
  const none = request.get("if-none-match");
  if (none !== undefined) return listed(none, etag, false) ? NOT_MODIFIED : PROCEED;
  const since = dateOf(request.get("if-modified-since"));
  return modifiedMs <= since ? NOT_MODIFIED : PROCEED;
}

/** Section 13.1.5: a Range counts only for the representation that the client has a part of. */
export function rangeHolds(request: Head, { etag, modifiedMs }: Validators): boolean {
  const condition = request.get("if-range");
  if (condition === undefined) return true;
  if (condition.endsWith('"')) return !condition.startsWith("W/") && !etag.startsWith("W/") && condition === etag;
  return dateOf(condition) === modifiedMs;
}

/** NaN for what is no date, as if it were not there. */
export function dateOf(text: string | undefined): number {
  // Section 5.6.7: the other two forms begin with a weekday's name as well.
  return text === undefined || !/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Number.NaN : Date.parse(text);
}

/** Section 8.8.3.2. `strong`: a weak tag is equal to none. */
function listed(list: string, etag: string, strong: boolean): boolean {
  if (list.trim() === "*") return true;
  if (etag === "" || (strong && etag.startsWith("W/"))) return false;
  const opaque = etag.replace(/^W\//, "");
  for (const [, weak, tag] of list.matchAll(/(W\/)?("[^"]*")/g)) {
    if (tag === opaque && !(strong && weak !== undefined)) return true;
  }
  return false;
}
