/** A set of addresses as text: `203.0.113.0/24`, `2001:db8::/32`, or one address. */
import * as v from "valibot";
import { readPrefix } from "#core/address.ts";
import { text } from "./primitives.ts";

export const prefix = v.pipe(
  text,
  v.check(
    (value) => typeof readPrefix(value) !== "string",
    ({ input }) => `${JSON.stringify(input)} is no prefix such as 203.0.113.0/24: ${String(readPrefix(input))}`,
  ),
);
