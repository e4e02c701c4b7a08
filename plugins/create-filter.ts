/** From a snapshot's built-in filter to one that runs. */
import type { Filter } from "#pipeline/filter.ts";
import type { BuiltinFilterSpec } from "#snapshot/builtin-filters.ts";
import { BasicAuthFilter } from "./basic-auth.ts";
import { BufferFilter } from "./buffer.ts";
import type { BuiltinServices } from "./builtin-filter.ts";
import { CacheFilter } from "./cache/cache.ts";
import { CompressFilter } from "./coding/compress.ts";
import { DecompressFilter } from "./coding/decompress.ts";
import { CorsFilter } from "./cors.ts";
import { FaultFilter } from "./fault.ts";
import { HeadersFilter } from "./headers.ts";
import { IpAccessFilter } from "./ip-access.ts";
import { JwtFilter } from "./jwt/jwt.ts";
import { KeyAuthFilter } from "./key-auth.ts";
import { MirrorFilter } from "./mirror.ts";
import { RateLimitFilter } from "./rate-limit.ts";
import { RedirectFilter } from "./redirect.ts";
import { RewriteFilter } from "./rewrite.ts";
import { StaticFilesFilter } from "./static-files/static-files.ts";
import { StaticResponseFilter } from "./static-response.ts";
import { TraceFilter } from "./trace/trace.ts";

/**
 * The configuration was checked. `identity`: of everything that the filter's behaviour depends on, the same in all workers. Throws
 * PENSTOCK_HTTP_NAMES_FULL.
 */
export function createBuiltinFilter(spec: BuiltinFilterSpec, services: BuiltinServices, identity: string): Filter {
  switch (spec.name) {
    case "headers":
      return new HeadersFilter(spec.config);
    case "ip-access":
      return new IpAccessFilter(spec.config);
    case "redirect":
      return new RedirectFilter(spec.config);
    case "rewrite":
      return new RewriteFilter(spec.config);
    case "basic-auth":
      return new BasicAuthFilter(spec.config);
    case "key-auth":
      return new KeyAuthFilter(spec.config);
    case "cors":
      return new CorsFilter(spec.config);
    case "rate-limit":
      return new RateLimitFilter(spec.config, services, identity);
    case "static-response":
      return new StaticResponseFilter(spec.config);
    case "fault":
      return new FaultFilter(spec.config);
    case "jwt":
      return new JwtFilter(spec.config, services);
    case "compress":
      return new CompressFilter(spec.config);
    case "decompress":
      return new DecompressFilter(spec.config);
    case "static-files":
      return new StaticFilesFilter(spec.config, services);
    case "cache":
      return new CacheFilter(spec.config, services);
    case "mirror":
      return new MirrorFilter(spec.config, services);
    case "trace":
      return new TraceFilter(spec.config, services);
    case "buffer":
      return new BufferFilter(spec.config);
  }
}
