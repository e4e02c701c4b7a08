/** What the built-in filter `jwt` takes (RFC 7519): which keys, where the token is, what it must say. */
import { createPublicKey, type JsonWebKeyInput } from "node:crypto";
import * as v from "valibot";
import { secretsIn } from "#snapshot/secrets.ts";
import { fields } from "#control/config/fields.ts";
import { choice, integer, list, name, requestPath, text } from "#control/config/primitives.ts";
import { editableName, HOST, realm, requestName } from "./parts.ts";

const ALGORITHMS = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;

const DAY_SECONDS = 86_400;
const KEYS_MAX = 100;
/** RFC 7518 section 3.2: not shorter than the hash, of which the shortest has 32 bytes; section 3.3. */
const SECRET_BYTES_MIN = 32;
const RSA_BITS_MIN = 2048;

/** A JSON Web Key (RFC 7517) that can check a signature. */
const key = v.pipe(
  v.record(text, v.unknown(), "expected a JSON Web Key, such as { kty: EC, crv: P-256, x: …, y: … }"),
  v.check(
    (jwk) => keyRefused(jwk) === null,
    ({ input }) => keyRefused(input) ?? "",
  ),
);

export const jwks = fields("a JWK set", {
  keys: v.pipe(list(key, KEYS_MAX), v.minLength(1, "name a key")),
});

function keyRefused(jwk: Readonly<Record<string, unknown>>): string | null {
  if (jwk["kty"] === "oct") {
    if (typeof jwk["k"] === "string" && secretsIn(jwk["k"]).size > 0) return null;
    const bytes = Buffer.from(typeof jwk["k"] === "string" ? jwk["k"] : "", "base64url").length;
    return bytes < SECRET_BYTES_MIN ? `a secret has at least ${SECRET_BYTES_MIN} bytes, in base64url` : null;
  }
  if (jwk["d"] !== undefined) return "a private key must not stand here: remove `d` and what belongs to it";
  try {
    const { modulusLength } =
      createPublicKey({ key: jwk as JsonWebKeyInput["key"], format: "jwk" }).asymmetricKeyDetails ?? {};
    const weak = modulusLength !== undefined && modulusLength < RSA_BITS_MIN;
    return weak ? `an RSA key has at least ${RSA_BITS_MIN} bits` : null;
  } catch (error) {
    return `no JSON Web Key: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const jwksUpstream = fields("keys from an upstream", {
  upstream: name,
  path: v.optional(requestPath, "/.well-known/jwks.json"),
  host: v.optional(v.pipe(text, v.regex(HOST, 'a host is written in lower case: "id.example.com"'))),
  /** Fetched anew after that. */
  ttlSeconds: v.optional(integer(1, 7 * DAY_SECONDS), 300),
  /** How much longer old keys are used while the upstream can't be asked. */
  staleSeconds: v.optional(integer(0, 7 * DAY_SECONDS), 3600),
  timeoutMs: v.optional(integer(1, 60_000), 2000),
});

const from = v.pipe(
  fields("the place of a token", {
    header: v.optional(editableName),
    /** Before the token, in the header; empty for none. */
    scheme: v.optional(v.pipe(text, v.regex(/^[A-Za-z0-9-]{0,32}$/, "a scheme is a word, such as Bearer")), "Bearer"),
    cookie: v.optional(v.pipe(text, v.regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, "a cookie's name is a token"))),
    query: v.optional(
      v.pipe(text, v.regex(/^[A-Za-z0-9._~-]{1,64}$/, "a parameter is 1 to 64 letters, digits, dots, - _ and ~")),
    ),
  }),
  v.check(
    ({ header, cookie, query }) => [header, cookie, query].filter((one) => one !== undefined).length <= 1,
    "give one of `header`, `cookie` and `query`",
  ),
);

const claimName = v.pipe(
  text,
  v.regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/, "a claim is named by visible ASCII characters"),
);
const words = list(v.pipe(text, v.minLength(1, "expected text that isn't empty"), v.maxLength(1024)), 100);

export const JwtConfig = v.pipe(
  fields("the configuration of jwt", {
    algorithms: v.pipe(
      list(choice("algorithm", ALGORITHMS), ALGORITHMS.length),
      v.minLength(1, "name the algorithms that tokens may be signed with"),
    ),
    /** Exactly one of the three. */
    jwks: v.optional(jwks),
    /** Read by who declares, and replaced by its content. */
    jwksFile: v.optional(v.pipe(text, v.minLength(1, "a file name can't be empty"))),
    jwksUpstream: v.optional(jwksUpstream),
    from: v.optional(from, { header: "authorization" }),
    issuers: v.optional(words, []),
    audiences: v.optional(words, []),
    required: v.optional(list(claimName, 32), ["exp"]),
    leewaySeconds: v.optional(integer(0, DAY_SECONDS), 30),
    /** By `iat`, which such tokens must have. */
    ageMaxSeconds: v.optional(integer(1, 365 * DAY_SECONDS)),
    claimHeaders: v.optional(v.record(requestName, claimName, "expected header names with claims"), {}),
    /** The token travels on to the upstream. */
    forward: v.optional(v.boolean("expected true or false"), false),
    /** Requests without a token pass too. */
    optional: v.optional(v.boolean("expected true or false"), false),
    realm: v.optional(realm, "restricted"),
  }),
  v.check(
    (config) => [config.jwks, config.jwksFile, config.jwksUpstream].filter((one) => one !== undefined).length === 1,
    "give one of `jwks`, `jwksFile` and `jwksUpstream`",
  ),
  v.check(
    ({ jwksFile }) => jwksFile === undefined,
    "`jwksFile` is read by `penstock apply`, `diff` and `run -f`; over REST send what stands in it as `jwks`",
  ),
  v.check(
    ({ ageMaxSeconds, required }) => ageMaxSeconds === undefined || required.includes("iat"),
    "`ageMaxSeconds` counts from `iat`: name it in `required`",
  ),
  v.check(
    ({ algorithms, jwks: set }) =>
      set === undefined || set.keys.some((jwk) => (jwk["kty"] === "oct") === algorithms[0]?.startsWith("HS")),
    "no key fits the algorithms",
  ),
);
