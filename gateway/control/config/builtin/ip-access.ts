/** What the built-in filter `ip-access` takes. */
import * as v from "valibot";
import { readPrefix } from "#core/address.ts";
import { fields } from "#control/config/fields.ts";
import { list, text } from "#control/config/primitives.ts";

const prefix = v.pipe(
  text,
  v.check(
    (value) => typeof readPrefix(value) !== "string",
    ({ input }) => `${JSON.stringify(input)} is no prefix such as 203.0.113.0/24: ${String(readPrefix(input))}`,
  ),
);

export const IpAccessConfig = v.pipe(
  fields("the configuration of ip-access", {
    allow: v.optional(list(prefix, 10_000), []),
    deny: v.optional(list(prefix, 10_000), []),
  }),
  v.check(({ allow, deny }) => allow.length + deny.length > 0, "name prefixes in `allow`, in `deny` or in both"),
);
