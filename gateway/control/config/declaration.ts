/** A whole declaration: what `penstock.yaml` holds and `PUT /v1/config` takes. */
import * as v from "valibot";
import { fields, resources } from "./fields.ts";
import { list } from "./primitives.ts";
import { Secret } from "./secret-resources.ts";
import { Certificate } from "./tls-resources.ts";
import { Kernel, Listener, Plugin, Route, Settings, Tenant, Upstream } from "./resources.ts";

export const DeclarationSchema = fields("a declaration", {
  listeners: v.optional(list(Listener, 1000), []),
  certificates: v.optional(resources(Certificate, 10_000), []),
  upstreams: v.optional(resources(Upstream, 10_000), []),
  tenants: v.optional(resources(Tenant, 10_000), []),
  secrets: v.optional(list(Secret, 100_000), []),
  plugins: v.optional(resources(Plugin, 10_000), []),
  routes: v.optional(resources(Route, 100_000), []),
  kernel: v.optional(Kernel, {}),
  settings: v.optional(Settings, {}),
});

/** As declared: what is stored, shown and compared. */
export type Declaration = v.InferInput<typeof DeclarationSchema>;
/** With every default filled in: what is checked and compiled. */
export type Resolved = v.InferOutput<typeof DeclarationSchema>;

export type ListenerResource = Resolved["listeners"][number];
export type CertificateResource = Resolved["certificates"][number];
export type UpstreamResource = Resolved["upstreams"][number];
export type TenantResource = Resolved["tenants"][number];
export type PluginResource = Resolved["plugins"][number];
export type RouteResource = Resolved["routes"][number];
export type FilterResource = RouteResource["filters"][number];
export type MapResource = Resolved["kernel"]["maps"][number];
