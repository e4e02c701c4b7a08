/** A route's filters: a tenant's plugin, or one that is built in. Which of them it is, its fields say. */
import * as v from "valibot";
import { BasicAuthConfig, KeyAuthConfig } from "./builtin/authentication.ts";
import { BufferConfig, CompressConfig, DecompressConfig } from "./builtin/coding.ts";
import { CacheConfig } from "./builtin/cache.ts";
import { CorsConfig } from "./builtin/cors.ts";
import { HeadersConfig } from "./builtin/headers.ts";
import { JwtConfig } from "./builtin/jwt.ts";
import { IpAccessConfig } from "./builtin/ip-access.ts";
import { MirrorConfig } from "./builtin/mirror.ts";
import { RateLimitConfig } from "./builtin/rate-limit.ts";
import { RedirectConfig, RewriteConfig } from "./builtin/redirect.ts";
import { TraceConfig } from "./builtin/trace.ts";
import { StaticFilesConfig } from "./builtin/static-files.ts";
import { FaultConfig, StaticResponseConfig } from "./builtin/replies.ts";
import { alternatives, fields, isRecord } from "./fields.ts";
import { choice, integer, list, name, text, version } from "./primitives.ts";

const MINUTE_MS = 60_000;

/** Whatever JSON has. Plugins that take keys with values get lists and fields as JSON. */
const configValue = v.union(
  [text, v.number(), v.boolean(), v.array(v.unknown()), v.record(text, v.unknown())],
  "expected text, a number, true or false, a list, or fields",
);

const pluginConfig = v.union(
  [text, v.record(v.pipe(text, v.minLength(1, "a key can't be empty")), configValue)],
  "expected keys with values, or one text",
);

const PluginFilter = fields(
  "a filter",
  {
    /** `name@version`, of the route's tenant. */
    plugin: v.pipe(
      text,
      v.regex(/^[a-z0-9-]+@[A-Za-z0-9._-]+$/, 'a plugin is written with its version: "token-check@1"'),
    ),
    config: v.optional(pluginConfig, {}),
    /** For plugins made for Envoy: what they are told of the VM that they believe to run in. */
    vm: v.optional(
      fields("a VM", {
        rootId: v.optional(text, ""),
        id: v.optional(text, ""),
        configuration: v.optional(pluginConfig, {}),
        /** Upstreams by the names of clusters that the plugin calls them by. */
        clusters: v.optional(v.record(v.pipe(text, v.minLength(1, "a cluster has a name")), name), {}),
      }),
    ),
    limits: v.optional(
      fields("limits", {
        /** Units charged for one call of one hook; about one a Wasm instruction. At most the tenant's `quotas.fuelPerCall`: two million. */
        fuel: v.optional(integer(1, 200_000_000), 1_000_000),
        /** A multiple of the page, 64 KiB. Absent: 1 MiB; 16 MiB for plugins made for other gateways and components, whose toolchains ask for more. */
        memoryBytes: v.optional(
          v.pipe(integer(65_536, 256 * 2 ** 20), v.multipleOf(65_536, "memory is a multiple of 65536, the Wasm page")),
        ),
        /** For a call that waits for an upstream. */
        deadlineMs: v.optional(integer(1, MINUTE_MS), 1000),
      }),
      {},
    ),
    onFault: v.optional(choice("onFault", ["deny", "allow", "skip"]), "deny"),
    /** Another version of the plugin for a part of the requests; it goes back by itself when it faults. */
    canary: v.optional(
      fields("a canary", {
        version,
        percent: v.pipe(
          v.number("expected a number"),
          v.minValue(0, "at least 0"),
          v.maxValue(100, "at most 100 percent"),
        ),
        /** What the choice sticks to. */
        key: v.optional(
          v.pipe(
            text,
            v.regex(
              /^(?:client-ip|header:[a-z0-9!#$%&'*+.^_`|~-]{1,64}|cookie:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64})$/,
              "a key is client-ip, header:NAME (in lower case) or cookie:NAME",
            ),
          ),
          "client-ip",
        ),
      }),
    ),
    /** `request`: each finds a guest as it was after its configuration. */
    isolation: v.optional(choice("isolation", ["shared", "request"]), "shared"),
    allow: v.optional(
      fields("grants", {
        upstreams: v.optional(list(name, 100), []),
        maps: v.optional(list(name, 100), []),
        /** The tenant's key/value entries. */
        keyValue: v.optional(v.boolean("expected true or false"), false),
        /** To refuse clients on all routes of the tenant, and on nobody else's. */
        ban: v.optional(v.boolean("expected true or false"), false),
      }),
      {},
    ),
  },
  {},
);

function builtin<const Name extends string, Config extends v.GenericSchema>(named: Name, config: Config) {
  return fields("a built-in filter", { builtin: v.literal(named), config });
}

const BUILTINS = [
  builtin("headers", HeadersConfig),
  builtin("ip-access", IpAccessConfig),
  builtin("redirect", RedirectConfig),
  builtin("rewrite", RewriteConfig),
  builtin("basic-auth", BasicAuthConfig),
  builtin("key-auth", KeyAuthConfig),
  builtin("cors", CorsConfig),
  builtin("rate-limit", RateLimitConfig),
  builtin("static-response", StaticResponseConfig),
  builtin("fault", FaultConfig),
  builtin("jwt", JwtConfig),
  builtin("compress", CompressConfig),
  builtin("decompress", DecompressConfig),
  builtin("buffer", BufferConfig),
  builtin("cache", CacheConfig),
  builtin("static-files", StaticFilesConfig),
  builtin("mirror", MirrorConfig),
  builtin("trace", TraceConfig),
] as const;

const BUILTIN_NAMES = BUILTINS.map((one) => one.entries.builtin.literal);

/** What a name that isn't one of them is refused by. */
const UnknownBuiltin = fields("a built-in filter", {
  builtin: choice("builtin", BUILTIN_NAMES),
  config: v.optional(v.unknown()),
});

function chosen(input: unknown): v.GenericSchema {
  if (!isRecord(input) || !("builtin" in input)) return PluginFilter;
  return BUILTINS.find((one) => one.entries.builtin.literal === input["builtin"]) ?? UnknownBuiltin;
}

export const Filter = alternatives([PluginFilter, ...BUILTINS], chosen);
