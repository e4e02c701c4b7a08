/** What a shared cache may store, and when it may answer from what it has (RFC 9111, RFC 5861). Pure. */
import { METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_TRACE, type Head } from "#http/head.ts";
import type { CacheConfig } from "#snapshot/builtin-filters.ts";
import { directivesOf, type Directives } from "./directives.ts";
import { ageOf, saysLifetime, valueOf, type Entry, type Fields } from "./entry.ts";

/** RFC 9110 section 15.1: cacheable without being told so; 206 is not stored here. */
const BY_DEFAULT = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
const WHEN_SAID = new Set([...BY_DEFAULT, 302, 303, 307]);

export type Use =
  /** Answer from it. */
  | "fresh"
  /** Answer from it while somebody asks whether it still holds. */
  | "stale"
  /** Ask first. */
  | "validate";

/** Safe methods change nothing that is stored (RFC 9111 section 4.4). */
export function isSafe(method: number): boolean {
  return method === METHOD_GET || method === METHOD_HEAD || method === METHOD_OPTIONS || method === METHOD_TRACE;
}

/** Why a request is not looked up, or null. */
export function bypasses(request: Head, directives: Directives): boolean {
  return directives.has.has("no-store") || request.upgrade;
}

export function requestDirectives(request: Head): Directives {
  const value = request.get("cache-control");
  // Section 5.4, for old clients.
  if (value === undefined && /\bno-cache\b/i.test(request.get("pragma") ?? "")) return directivesOf("no-cache");
  return directivesOf(value);
}

/** Section 4.2.4 and 5.2: may `entry` answer a request with these directives? */
export function useOf(entry: Entry, asked: Directives, nowMs: number, config: CacheConfig): Use {
  const age = ageOf(entry, nowMs);
  const left = entry.lifetimeSeconds - age;
  const own = entry.directives;
  if (own.has.has("no-cache") || asked.has.has("no-cache")) return "validate";
  if (age > (asked.seconds.get("max-age") ?? Infinity)) return "validate";
  if (left < (asked.seconds.get("min-fresh") ?? -Infinity)) return "validate";
  if (left > 0) return "fresh";
  if (mustRevalidate(own)) return "validate";
  if (-left <= (asked.seconds.get("max-stale") ?? -1)) return "fresh";
  const tolerated = own.seconds.get("stale-while-revalidate") ?? config.staleWhileRevalidateSeconds;
  return -left <= tolerated ? "stale" : "validate";
}

/** RFC 5861 section 4: an old answer instead of an error. */
export function mayHideError(entry: Entry, nowMs: number, config: CacheConfig): boolean {
  if (mustRevalidate(entry.directives)) return false;
  const stale = ageOf(entry, nowMs) - entry.lifetimeSeconds;
  return stale <= (entry.directives.seconds.get("stale-if-error") ?? config.staleIfErrorSeconds);
}

function mustRevalidate({ has }: Directives): boolean {
  return has.has("must-revalidate") || has.has("proxy-revalidate") || has.has("s-maxage");
}

/** Section 5.2.2: what a shared cache must not keep, whatever else is said. */
export function isForbidden({ has }: Directives): boolean {
  return has.has("no-store") || has.has("private");
}

/** Section 3: may it be stored? `fields`: the response's. */
export function isStorable(request: Head, status: number, fields: Fields, config: CacheConfig): boolean {
  if (request.method !== METHOD_GET || request.get("range") !== undefined) return false;
  const directives = directivesOf(valueOf(fields, "cache-control"));
  const { has } = directives;
  if (isForbidden(directives) || requestDirectives(request).has.has("no-store")) return false;
  // Section 3.5.
  const shareable = has.has("public") || has.has("s-maxage") || has.has("must-revalidate");
  if (request.get("authorization") !== undefined && !shareable) return false;
  if (saysLifetime(fields)) return WHEN_SAID.has(status);
  if (!BY_DEFAULT.has(status)) return false;
  // Without a lifetime it is worth keeping only when it can be asked about, or when the route says how long.
  const validators = valueOf(fields, "etag") !== undefined || valueOf(fields, "last-modified") !== undefined;
  return config.ttlSeconds > 0 || validators;
}
