/** What the built-in filter `cors` takes (Fetch standard, "CORS protocol"). */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { headerName, integer, list, methodToken, text } from "#control/config/primitives.ts";

const DAY_SECONDS = 86_400;

const origin = v.pipe(
  text,
  v.regex(
    /^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)$/,
    'an origin is scheme, host and port in lower case, without a path: "https://shop.example", "https://*.shop.example", "*"',
  ),
);
const namesOrAll = v.union([headerName, v.literal("*")], 'a header name is a token in lower case, or "*" for all');
const methodOrAll = v.union([methodToken, v.literal("*")], 'a method is a token in upper case, or "*" for all');

export const CorsConfig = v.pipe(
  fields("the configuration of cors", {
    origins: v.pipe(list(origin, 100), v.minLength(1, 'name an origin, or "*" for all')),
    methods: v.optional(list(methodOrAll, 50), ["GET", "HEAD", "POST"]),
    headers: v.optional(list(namesOrAll, 50), []),
    exposeHeaders: v.optional(list(namesOrAll, 50), []),
    credentials: v.optional(v.boolean("expected true or false"), false),
    maxAgeSeconds: v.optional(integer(0, DAY_SECONDS), 600),
  }),
  v.check(
    ({ credentials, origins, methods, headers, exposeHeaders }) =>
      !credentials || ![origins, methods, headers, exposeHeaders].some((words) => words.includes("*")),
    'with `credentials` a browser takes no "*": name the origins, methods and headers',
  ),
);
