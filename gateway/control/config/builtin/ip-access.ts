/** What the built-in filter `ip-access` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { prefix } from "#control/config/prefix.ts";
import { list } from "#control/config/primitives.ts";

export const IpAccessConfig = v.pipe(
  fields("the configuration of ip-access", {
    allow: v.optional(list(prefix, 10_000), []),
    deny: v.optional(list(prefix, 10_000), []),
  }),
  v.check(({ allow, deny }) => allow.length + deny.length > 0, "name prefixes in `allow`, in `deny` or in both"),
);
