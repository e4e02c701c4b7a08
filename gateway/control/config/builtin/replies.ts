/** What the built-in filters `static-response` and `fault` take. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { integer, text } from "#control/config/primitives.ts";
import { percent, responseValues } from "./parts.ts";

/** A local reply's body shares a buffer with its head. */
const BODY_BYTES_MAX = 16_384;
/** With the longest names and values they leave room for the rest of the head. */
const HEADERS_MAX = 8;

export const StaticResponseConfig = v.pipe(
  fields("the configuration of static-response", {
    status: v.optional(integer(200, 599), 200),
    headers: v.optional(
      v.pipe(
        responseValues,
        v.check((values) => Object.keys(values).length <= HEADERS_MAX, `at most ${HEADERS_MAX} headers`),
      ),
      {},
    ),
    body: v.optional(
      v.pipe(
        text,
        v.check((body) => Buffer.byteLength(body) <= BODY_BYTES_MAX, `a body has at most ${BODY_BYTES_MAX} bytes`),
      ),
      "",
    ),
  }),
  v.check(
    ({ status, body }) => body === "" || (status !== 204 && status !== 304),
    "a response with this status has no body: remove `body`",
  ),
);

export const FaultConfig = v.pipe(
  fields("the configuration of fault", {
    delay: v.optional(fields("a delay", { ms: integer(1, 60_000), percent: v.optional(percent, 100) })),
    abort: v.optional(fields("an abort", { status: integer(400, 599), percent: v.optional(percent, 100) })),
  }),
  v.check(({ delay, abort }) => (delay ?? abort) !== undefined, "give `delay`, `abort` or both"),
);
