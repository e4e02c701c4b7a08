/** What the built-in filter `trace` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { integer, name, requestPath, text } from "#control/config/primitives.ts";

const PERCENT = "expected a percentage from 0 to 100";

export const TraceConfig = fields("the configuration of trace", {
  /** The collector, which takes OTLP/HTTP with JSON. */
  upstream: name,
  path: v.optional(requestPath, "/v1/traces"),
  /** Of the requests that bring no decision of their own. */
  percent: v.optional(
    v.pipe(
      v.number(({ received }) => `${PERCENT}, not ${received}`),
      v.minValue(0, PERCENT),
      v.maxValue(100, PERCENT),
    ),
    1,
  ),
  serviceName: v.optional(
    v.pipe(text, v.minLength(1, "a service has a name"), v.maxLength(128, "too long")),
    "penstock",
  ),
  timeoutMs: v.optional(integer(1, 60_000), 5000),
});
