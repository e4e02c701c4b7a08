/**
 * Routes and upstreams compiled before. What a specification says depends on its resource and on the places of what that may
 * name; as long as those stay, the same resource is the same specification, the very object: so what follows can tell by
 * looking what is new.
 */
import { canonicalJson } from "./canonical.ts";
import type { Resolved, RouteResource, UpstreamResource } from "./config/declaration.ts";
import { keyOf } from "./config/kinds.ts";
import type { RouteSpec, UpstreamSpec } from "#snapshot/snapshot.ts";

export class KnownSpecs {
  #places = "";
  #routes = new WeakMap<RouteResource, { readonly spec: RouteSpec; readonly ages: readonly string[] }>();
  #upstreams = new WeakMap<UpstreamResource, UpstreamSpec>();

  /** Forgets what was compiled beside other things than these. */
  beside(declared: Resolved): void {
    const places = placesIn(declared);
    if (places === this.#places) return;
    this.#places = places;
    this.#routes = new WeakMap();
    this.#upstreams = new WeakMap();
  }

  /** `ages`: of all routes; only among others may this one's `order` be another though the route stays the same. */
  route(route: RouteResource, ages: readonly string[], orderOf: () => number, make: () => RouteSpec): RouteSpec {
    const known = this.#routes.get(route);
    if (known?.ages === ages) return known.spec;
    const order = orderOf();
    const spec = known === undefined ? make() : known.spec.order === order ? known.spec : { ...known.spec, order };
    this.#routes.set(route, { spec, ages });
    return spec;
  }

  upstream(upstream: UpstreamResource, make: () => UpstreamSpec): UpstreamSpec {
    const spec = this.#upstreams.get(upstream) ?? make();
    this.#upstreams.set(upstream, spec);
    return spec;
  }
}

/** All that compiling one of them reads besides the resource. */
function placesIn({ listeners, certificates, upstreams, kernel, plugins, tenants, settings }: Resolved): string {
  return canonicalJson([
    listeners.map(({ name, protocol }) => [name, protocol]),
    certificates.map((one) => keyOf("certificates", one)),
    upstreams.map((one) => keyOf("upstreams", one)),
    kernel.maps.map(({ name }) => name),
    plugins.map((one) => [keyOf("plugins", one), one.digest]),
    tenants.map(({ name, hosts }) => [name, hosts]),
    [settings.bodyBytesMax, settings.requestTimeoutMs],
  ]);
}
