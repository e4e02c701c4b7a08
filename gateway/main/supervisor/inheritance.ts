/** What a supervisor has from the one before it, in an upgrade of the running program (#main/upgrade). Types only. */
import type { Fd } from "#core/brands.ts";
import type { HandedDescriptors } from "#bpf/manager/handed-over.ts";
import type { MapSpec } from "#snapshot/snapshot.ts";
import type { EndpointOutage, MapEntry } from "#worker/protocol.ts";
import type { Bound } from "./listeners.ts";
import type { TenantRegions } from "./tenant-memory.ts";

/** Descriptors are the new supervisor's own. */
export interface Inheritance {
  /** By `Listeners`' keys. */
  readonly listeners: ReadonlyMap<string, Bound>;
  readonly scriptListeners: ReadonlyMap<string, Bound>;
  /** The Unix socket, and the TCP socket if there is one. */
  readonly admin: readonly Fd[];
  /** Of the embedded example's echo server. */
  readonly echo: Fd | null;
  readonly ticketKeys: readonly Uint8Array[];
  readonly maps: readonly { readonly spec: MapSpec; readonly entries: readonly MapEntry[] }[];
  /** Of rate limits; null: none were handed over. */
  readonly buckets: Fd | null;
  readonly tenantMemory: TenantRegions | null;
  /** Null: made by a version whose layouts are others. */
  readonly kernel: HandedDescriptors | null;
  /** Of what the script has attached, and steers. */
  readonly scriptKernel: HandedDescriptors | null;
  /** What its workers knew of endpoints that are out, by slot. */
  readonly outages: readonly (readonly EndpointOutage[])[];
}
