/** What the built-in filter `cache` takes (RFC 9111). */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { integer } from "#control/config/primitives.ts";

const MIB = 2 ** 20;
const DAY_SECONDS = 86_400;

export const CacheConfig = v.pipe(
  fields("the configuration of cache", {
    /** Of each worker, for this route. */
    bytesMax: v.optional(integer(65_536, 4096 * MIB), 64 * MIB),
    /** Of one response's body. */
    objectBytesMax: v.optional(integer(1, 256 * MIB), MIB),
    /** For responses that say nothing about how long they are fresh; 0: such are asked about each time. */
    ttlSeconds: v.optional(integer(0, 365 * DAY_SECONDS), 0),
    /** Where the response does not say it itself (RFC 5861). */
    staleWhileRevalidateSeconds: v.optional(integer(0, 365 * DAY_SECONDS), 0),
    staleIfErrorSeconds: v.optional(integer(0, 365 * DAY_SECONDS), 0),
    /** Store responses with Set-Cookie too: every client then gets that cookie. */
    setCookie: v.optional(v.boolean("expected true or false"), false),
    /** How long a request waits for another that asks for the same; 0: not at all. */
    coalesceMs: v.optional(integer(0, 60_000), 5000),
  }),
  v.check(({ bytesMax, objectBytesMax }) => objectBytesMax <= bytesMax, "an object can't be larger than the cache"),
);
