/** What the built-in filters `redirect` and `rewrite` take. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { choice, integer, requestPath, text } from "#control/config/primitives.ts";
import { HOST } from "./parts.ts";

const TEMPLATE_BYTES_MAX = 2048;
const PLACEHOLDER = /\{(host|path|query)\}/g;
const STATUSES = [301, 302, 307, 308] as const;

/** Text with `{host}`, `{path}` or `{query}` in it; `valid` holds for the text between them. */
function template(valid: (rest: string) => boolean, message: string) {
  return v.pipe(
    text,
    v.maxLength(TEMPLATE_BYTES_MAX, `a template has at most ${TEMPLATE_BYTES_MAX} characters`),
    v.check((value) => {
      const rest = value.replaceAll(PLACEHOLDER, "x");
      return !/[{}]/.test(rest) && valid(rest);
    }, `${message}; {host}, {path} and {query} stand for the request's`),
  );
}

const hostTemplate = template(
  (rest) => HOST.test(rest) && !rest.includes(":"),
  'a host is written in lower case and without port: "www.example.com", "www.{host}"',
);
const queryTemplate = template(
  (rest) => /^[\x21\x22\x24-\x7e]*$/.test(rest),
  'a query is without "#" and white space: "from=old&{query}"',
);
const pathTemplate = v.pipe(
  template((rest) => /^[\x21\x22\x24-\x3e\x40-\x7e]+$/.test(rest), 'a path is without query: "/new{path}"'),
  v.check((value) => value.startsWith("/") || value.startsWith("{path}"), 'a path starts with "/" or "{path}"'),
);

export const RedirectConfig = v.pipe(
  fields("the configuration of redirect", {
    status: v.optional(
      v.picklist(STATUSES, ({ received }) => `status is one of ${STATUSES.join(", ")}, not ${received}`),
      302,
    ),
    scheme: v.optional(choice("scheme", ["http", "https"])),
    host: v.optional(hostTemplate),
    port: v.optional(integer(1, 65_535)),
    path: v.optional(pathTemplate),
    query: v.optional(queryTemplate),
  }),
  v.check(
    ({ scheme, host, port, path, query }) => (scheme ?? host ?? port ?? path ?? query) !== undefined,
    "a redirect to the same place never ends: give `scheme`, `host`, `port`, `path` or `query`",
  ),
);

export const RewriteConfig = v.pipe(
  fields("the configuration of rewrite", {
    prefix: v.optional(fields("a prefix", { from: requestPath, to: requestPath })),
    query: v.optional(queryTemplate),
    host: v.optional(
      v.pipe(text, v.regex(HOST, 'a host is written in lower case: "app.internal", "app.internal:8080"')),
    ),
  }),
  v.check(
    ({ prefix, query, host }) => (prefix ?? query ?? host) !== undefined,
    "nothing is rewritten: give `prefix`, `query` or `host`",
  ),
);
