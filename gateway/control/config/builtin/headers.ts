/** What the built-in filter `headers` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { list } from "#control/config/primitives.ts";
import { editableName, requestValues, responseValues } from "./parts.ts";

const remove = v.optional(list(editableName, 32), []);

const requestEdits = fields("header edits", {
  set: v.optional(requestValues, {}),
  add: v.optional(requestValues, {}),
  remove,
});
const responseEdits = fields("header edits", {
  set: v.optional(responseValues, {}),
  add: v.optional(responseValues, {}),
  remove,
});

export const HeadersConfig = fields("the configuration of headers", {
  request: v.optional(requestEdits, {}),
  response: v.optional(responseEdits, {}),
});
