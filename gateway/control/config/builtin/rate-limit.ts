/** What the built-in filter `rate-limit` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { integer, name, text } from "#control/config/primitives.ts";

const RATE = "expected a number of requests from 0.001 to 1000000";

export const RateLimitConfig = fields("the configuration of rate-limit", {
  perSecond: v.pipe(
    v.number(({ received }) => `${RATE}, not ${received}`),
    v.minValue(0.001, RATE),
    v.maxValue(1_000_000, RATE),
  ),
  /** Left out: a second's worth, at least one. */
  burst: v.optional(integer(1, 1_000_000)),
  key: v.optional(
    v.pipe(
      text,
      v.regex(
        /^(?:client-ip|host|route|header:[!#$%&'*+.^_`|~0-9a-z-]{1,128})$/,
        'a key is "client-ip", "host", "route", or a header in lower case such as "header:x-api-key"',
      ),
    ),
    "client-ip",
  ),
  keysMax: v.optional(integer(64, 262_144), 65_536),
  /** Where the buckets of clients stand; left out: in memory that all workers share. */
  map: v.optional(name),
});
