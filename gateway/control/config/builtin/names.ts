/** The resources that built-in filters refer to by name, for whoever checks or resolves references. */
import type * as v from "valibot";
import type { Filter } from "#control/config/filters.ts";

export interface BuiltinReference {
  readonly kind: "upstream" | "map" | "directory";
  readonly name: string;
  /** Below the filter. */
  readonly pointer: string;
}

type BuiltinFilter = Extract<v.InferOutput<typeof Filter>, { builtin: string }>;

export function referencesOf(filter: BuiltinFilter): BuiltinReference[] {
  const { builtin, config } = filter;
  if (builtin === "jwt") {
    const { jwksUpstream } = config;
    if (jwksUpstream === undefined) return [];
    return [{ kind: "upstream", name: jwksUpstream.upstream, pointer: "/config/jwksUpstream/upstream" }];
  }
  if (builtin === "mirror" || builtin === "trace")
    return [{ kind: "upstream", name: config.upstream, pointer: "/config/upstream" }];
  if (builtin === "rate-limit" && config.map !== undefined) {
    return [{ kind: "map", name: config.map, pointer: "/config/map" }];
  }
  return [];
}

/** The filter's configuration as the snapshot has it: upstreams by the names they have there. */
export function resolvedConfig(filter: BuiltinFilter, upstream: (name: string) => string): object {
  const { builtin, config } = filter;
  if (builtin === "jwt") {
    const { jwks, jwksFile: _, jwksUpstream, ...rest } = config;
    const keys = jwks?.keys ?? [];
    if (jwksUpstream === undefined) return { ...rest, keys };
    return { ...rest, keys, jwksUpstream: { ...jwksUpstream, upstream: upstream(jwksUpstream.upstream) } };
  }
  if (builtin === "mirror" || builtin === "trace") return { ...config, upstream: upstream(config.upstream) };
  if (builtin === "rate-limit") return { burst: Math.max(1, Math.ceil(config.perSecond)), ...config };
  return config;
}
