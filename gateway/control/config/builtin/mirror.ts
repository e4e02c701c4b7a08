/** What the built-in filter `mirror` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { integer, name, text } from "#control/config/primitives.ts";
import { HOST } from "./parts.ts";

const PERCENT = "expected a percentage from 0.001 to 100";

export const MirrorConfig = fields("the configuration of mirror", {
  upstream: name,
  /** Of the requests that pass here. */
  percent: v.optional(
    v.pipe(
      v.number(({ received }) => `${PERCENT}, not ${received}`),
      v.minValue(0.001, PERCENT),
      v.maxValue(100, PERCENT),
    ),
    100,
  ),
  /** A request with a longer body is not copied. */
  bodyBytesMax: v.optional(integer(0, 2 ** 20), 65_536),
  /** In place of the request's own. */
  host: v.optional(v.pipe(text, v.regex(HOST, 'a host is written in lower case: "shadow.example.com"'))),
  /** Copies under way at the same time, in each worker; beyond that none is made. */
  concurrencyMax: v.optional(integer(1, 10_000), 100),
  timeoutMs: v.optional(integer(1, 600_000), 10_000),
});
