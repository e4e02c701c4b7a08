/** What the built-in filter `headers` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { list } from "#control/config/primitives.ts";
import { editableName, fieldValues } from "./parts.ts";

const edits = fields("header edits", {
  set: v.optional(fieldValues, {}),
  add: v.optional(fieldValues, {}),
  remove: v.optional(list(editableName, 32), []),
});

export const HeadersConfig = fields("the configuration of headers", {
  request: v.optional(edits, {}),
  response: v.optional(edits, {}),
});
