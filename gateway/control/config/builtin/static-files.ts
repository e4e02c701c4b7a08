/** What the built-in filter `static-files` takes. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { choice, headerValue, list, name, requestPath, text } from "#control/config/primitives.ts";

const file = v.pipe(text, v.regex(/^[^/\0]{1,255}$/, "a file's name, without slashes"));
const below = v.pipe(text, v.regex(/^[^\0]{1,1024}$/, "a file's path below the directory"));

export const StaticFilesConfig = fields("the configuration of static-files", {
  /** Given to the gateway where it is started: `penstock run --files NAME=DIRECTORY`. */
  directory: name,
  stripPrefix: v.optional(requestPath, "/"),
  index: v.optional(list(file, 8), ["index.html"]),
  fallback: v.optional(below),
  missing: v.optional(choice("missing", ["404", "upstream"]), "404"),
  hidden: v.optional(v.boolean("expected true or false"), false),
  cacheControl: v.optional(headerValue),
  types: v.optional(
    v.record(
      v.pipe(text, v.regex(/^[a-z0-9_-]{1,32}$/, "the end of a name, in lower case and without a dot")),
      headerValue,
      "expected ends of names with media types",
    ),
    {},
  ),
});
