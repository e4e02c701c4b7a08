/** What the built-in filters `compress`, `decompress` and `buffer` take. */
import * as v from "valibot";
import { fields } from "#control/config/fields.ts";
import { choice, integer, list, text } from "#control/config/primitives.ts";

const CODINGS = ["gzip", "br", "zstd"] as const;
const MIB = 2 ** 20;

const COMPRESSIBLE = [
  "text/*",
  "*+json",
  "*+xml",
  "application/javascript",
  "application/json",
  "application/manifest+json",
  "application/wasm",
  "application/xml",
  "image/svg+xml",
];

const mediaType = v.pipe(
  text,
  v.regex(
    /^(?:[a-z0-9!#$&^_.+-]{1,127}\/(?:\*|[a-z0-9!#$&^_.+-]{1,127})|\*\+[a-z0-9.-]{1,64})$/,
    'a media type is written in lower case and without parameters: "text/html", "text/*", "*+json"',
  ),
);

export const CompressConfig = fields("the configuration of compress", {
  codings: v.optional(
    v.pipe(
      list(choice("coding", CODINGS), CODINGS.length),
      v.minLength(1, "name a coding"),
      v.check((names) => new Set(names).size === names.length, "each coding stands once"),
    ),
    ["zstd", "br", "gzip"],
  ),
  contentTypes: v.optional(list(mediaType, 100), COMPRESSIBLE),
  bytesMin: v.optional(integer(0, MIB), 1024),
  levels: v.optional(
    fields("levels", {
      gzip: v.optional(integer(1, 9)),
      br: v.optional(integer(0, 11)),
      zstd: v.optional(integer(1, 19)),
    }),
    {},
  ),
});

export const DecompressConfig = v.pipe(
  fields("the configuration of decompress", {
    request: v.optional(v.boolean("expected true or false"), true),
    response: v.optional(choice("response", ["never", "unless-accepted", "always"]), "unless-accepted"),
    bytesMax: v.optional(integer(1, 2 ** 40), 64 * MIB),
  }),
  v.check(({ request, response }) => request || response !== "never", "nothing is left to decompress"),
);

export const BufferConfig = fields("the configuration of buffer", {
  /** Of the gateway's memory for traffic, 128 MiB are for held bodies. */
  bytesMax: v.optional(integer(1, 64 * MIB), MIB),
});
