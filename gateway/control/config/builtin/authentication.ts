/** What the built-in filters `basic-auth` and `key-auth` take. Secrets are declared as hashes only. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { list, sha256, text } from "#control/config/primitives.ts";
import { editableName, identity, namesDiffer, realm, requestName } from "./parts.ts";

const CREDENTIALS_MAX = 256;

const user = fields(
  "a user",
  {
    name: identity,
    salt: v.pipe(text, v.regex(/^[!-~]{8,64}$/, "a salt is 8 to 64 visible ASCII characters, another for each user")),
    /** Of the salt followed by the password. */
    sha256,
  },
  { scrypt: "a hash by scrypt", bcrypt: "a hash by bcrypt" },
);

export const BasicAuthConfig = fields("the configuration of basic-auth", {
  realm: v.optional(realm, "restricted"),
  users: v.pipe(
    list(user, CREDENTIALS_MAX),
    v.minLength(1, "name a user"),
    v.check(namesDiffer, "each user has a name of their own"),
  ),
  userHeader: v.optional(requestName),
});

const key = fields("a key", { name: identity, sha256 });

export const KeyAuthConfig = v.pipe(
  fields("the configuration of key-auth", {
    header: v.optional(editableName),
    query: v.optional(
      v.pipe(text, v.regex(/^[A-Za-z0-9._~-]{1,64}$/, "a parameter is 1 to 64 letters, digits, dots, - _ and ~")),
    ),
    keys: v.pipe(
      list(key, CREDENTIALS_MAX),
      v.minLength(1, "name a key"),
      v.check(namesDiffer, "each key has a name of its own"),
    ),
    userHeader: v.optional(requestName),
  }),
  v.check(({ header, query }) => (header === undefined) !== (query === undefined), "give either `header` or `query`"),
);
