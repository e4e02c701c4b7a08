/** One stored response: what was received, when, and for which requests it stands. Immutable; freshening makes another. */
import type { Head } from "#http/head.ts";
import { dateOf, type Validators } from "#plugins/conditions.ts";
import { directivesOf, type Directives } from "./directives.ts";

export type Fields = readonly (readonly [string, string])[];

export interface Entry {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
  /** What came behind it; kept apart, and never among the fields (section 3.1). */
  readonly trailers: Fields;
  /** When the request that led here was sent, and when its response came. */
  readonly requestedMs: number;
  readonly receivedMs: number;
  /** Age when it came (RFC 9111 section 4.2.3), in seconds. */
  readonly ageSeconds: number;
  readonly lifetimeSeconds: number;
  readonly directives: Directives;
  /** Request fields named by Vary, and the values that it was chosen by. */
  readonly vary: Fields;
  /** May be used for requests that carry a credential (section 3.5). */
  readonly shareable: boolean;
  readonly validators: Validators;
  /** What it costs in memory, roughly. */
  readonly bytes: number;
}

/** Of the objects around the bytes. */
const OVERHEAD_BYTES = 512;
const VARY_MAX = 16;

/** Section 3.1: not stored. Age, Cache-Status and Connection are of one hop; the gateway frames the message itself. */
const LEFT_OUT = new Set([
  "age",
  "cache-status",
  "connection",
  "content-length",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

export function storedFields(entries: Fields, setCookie: boolean): Fields {
  return entries.filter(([name]) => !LEFT_OUT.has(name) && (setCookie || name !== "set-cookie"));
}

/** RFC 9110 section 6.6.1: what comes without a date has that of its arrival, a 304 too. */
export function dated(fields: Fields, receivedMs: number): Fields {
  if (valueOf(fields, "date") !== undefined) return fields;
  return [...fields, ["date", new Date(receivedMs).toUTCString()]];
}

/** The request's values of what Vary names; null for `*`, which nothing matches. */
export function varyOf(vary: string | undefined, request: Head): Fields | null {
  const names = (vary ?? "").split(",").map((name) => name.trim().toLowerCase());
  if (names.includes("*") || names.length > VARY_MAX) return null;
  return names.filter((name) => name !== "").map((name) => [name, normal(request.get(name))] as const);
}

export function suits(entry: Entry, request: Head): boolean {
  return entry.vary.every(([name, value]) => normal(request.get(name)) === value);
}

/** White space does not tell values apart (section 4.1). */
function normal(value: string | undefined): string {
  return value === undefined
    ? "\0"
    : value
        .replace(/\s*,\s*/g, ",")
        .replace(/\s+/g, " ")
        .trim();
}

export function entryOf(
  parts: Pick<Entry, "status" | "fields" | "body" | "trailers" | "requestedMs" | "receivedMs" | "vary"> & {
    /** Of the response's Age field. */
    readonly age: string | undefined;
    /** For who says nothing about it. */
    readonly ttlSeconds: number;
  },
): Entry {
  const { fields, body, trailers, requestedMs, receivedMs, age, ttlSeconds, ...rest } = parts;
  const value = (name: string): string | undefined => valueOf(fields, name);
  const directives = directivesOf(value("cache-control"));
  const dateMs = dateOf(value("date"));
  const apparent = Number.isNaN(dateMs) ? 0 : Math.max(0, (receivedMs - dateMs) / 1000);
  const corrected = (/^\d+$/.test(age ?? "") ? Number(age) : 0) + (receivedMs - requestedMs) / 1000;
  const fieldBytes = [...fields, ...trailers].reduce((sum, [name, text]) => sum + name.length + text.length, 0);
  return {
    ...rest,
    fields,
    body,
    trailers,
    requestedMs,
    receivedMs,
    ageSeconds: Math.max(apparent, corrected),
    lifetimeSeconds: lifetimeOf(fields, directives, Number.isNaN(dateMs) ? receivedMs : dateMs, ttlSeconds),
    directives,
    shareable: directives.has.has("public") || directives.has.has("s-maxage") || directives.has.has("must-revalidate"),
    validators: { etag: value("etag") ?? "", modifiedMs: dateOf(value("last-modified")) },
    bytes: OVERHEAD_BYTES + 2 * fieldBytes + body.length,
  };
}

/** Section 4.2.1, of a shared cache. No guesses from Last-Modified: who wants them says `ttlSeconds`. */
function lifetimeOf(fields: Fields, { has, seconds }: Directives, dateMs: number, ttlSeconds: number): number {
  const said = seconds.get("s-maxage") ?? seconds.get("max-age");
  if (said !== undefined) return said;
  const expires = valueOf(fields, "expires");
  // Anything that is no date, "0" above all, is in the past.
  if (expires !== undefined) return Math.max(0, ((dateOf(expires) || 0) - dateMs) / 1000);
  return has.has("no-cache") ? 0 : ttlSeconds;
}

/** True when its sender says how long it is fresh. */
export function saysLifetime(fields: Fields): boolean {
  const { seconds } = directivesOf(valueOf(fields, "cache-control"));
  return seconds.has("s-maxage") || seconds.has("max-age") || valueOf(fields, "expires") !== undefined;
}

export function valueOf(fields: Fields, name: string): string | undefined {
  const values = fields.filter(([one]) => one === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values.join(", ");
}

/** Section 4.2.3: now. */
export function ageOf(entry: Entry, nowMs: number): number {
  return entry.ageSeconds + (nowMs - entry.receivedMs) / 1000;
}

/** Section 4.3.4: a 304 takes the place of the fields it brings. */
export function freshened(
  entry: Entry,
  fields: Fields,
  age: string | undefined,
  times: [number, number],
  ttlSeconds: number,
): Entry {
  const brought = new Set(fields.map(([name]) => name));
  const kept = entry.fields.filter(([name]) => !brought.has(name));
  const [requestedMs, receivedMs] = times;
  // What describes the body stays as it came with the body.
  const added = fields.filter(([name]) => !/^content-(?:encoding|length|type|range)$/.test(name));
  const description = entry.fields.filter(
    ([name]) => brought.has(name) && /^content-(?:encoding|type|range)$/.test(name),
  );
  return entryOf({ ...entry, fields: [...kept, ...description, ...added], requestedMs, receivedMs, age, ttlSeconds });
}
