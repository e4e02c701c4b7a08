/**
 * What a plugin is told about itself, and what it shares with others. Other gateways configure a VM and in it plugins by
 * root id; here a route's filter is both. Its `config` is handed over as one text: a text as it stands, the rest as JSON.
 */
import type { MetricSeries, TenantAccount } from "#pipeline/tenant.ts";
import type { PluginFilterSpec } from "#snapshot/snapshot.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import { LocalQueues, type Queues } from "./queues.ts";
import { LocalData, type SharedData, StoredData } from "./shared-data.ts";
import { StoredQueues } from "./stored-queues.ts";

export interface PluginIdentity {
  /** `plugin_name` */
  readonly name: string;
  /** `plugin_root_id`: which of the module's contexts is meant, where it has several. */
  readonly rootId: string;
  /** `plugin_vm_id`: plugins of a tenant with the same one share data and queues. */
  readonly vmId: string;
  readonly configuration: Uint8Array;
  readonly vmConfiguration: Uint8Array;
  readonly shared: SharedData;
  readonly queues: Queues;
  readonly metrics: MetricSeries;
  /** Names of upstreams by those of clusters; what is not in it is called by its own name. */
  readonly clusters: ReadonlyMap<string, string>;
}

/** What plugins of one tenant share in this worker, where no store is granted. It stays until the worker ends, as a tenant's data should. */
interface TenantShared {
  readonly queues: Queues;
  /** By VM id. */
  readonly data: Map<string, LocalData>;
}

const shared = new Map<string, TenantShared>();

/** Where one is. */
const stored = new WeakMap<TenantAccount, StoredQueues>();

function storedQueuesOf(tenant: TenantAccount): StoredQueues {
  const queues = stored.get(tenant) ?? new StoredQueues(tenant);
  stored.set(tenant, queues);
  return queues;
}

function sharedOf(tenant: string): TenantShared {
  const known = shared.get(tenant);
  if (known !== undefined) return known;
  const made = { queues: new LocalQueues(), data: new Map<string, LocalData>() };
  shared.set(tenant, made);
  return made;
}

export function identityOf({ name, spec, services }: GuestEnvironment): PluginIdentity {
  const { tenant } = services;
  const { rootId = "", id: vmId = "", configuration = "" } = spec.vm ?? {};
  const { queues, data } = sharedOf(tenant.name);
  const store = spec.allow.keyValue === true ? tenant.keyValue : null;
  let local = data.get(vmId);
  if (store === null && local === undefined) data.set(vmId, (local = new LocalData()));
  return {
    name: name.slice(0, name.lastIndexOf("@")),
    rootId,
    vmId,
    configuration: Buffer.from(configurationText(spec), "utf8"),
    vmConfiguration: Buffer.from(configuration, "utf8"),
    shared: store === null ? (local as LocalData) : new StoredData(store, vmId),
    queues: store === null ? queues : storedQueuesOf(tenant),
    metrics: tenant.metrics,
    clusters: new Map(Object.entries(spec.vm?.clusters ?? {})),
  };
}

/** What the route's `config` is for a plugin that takes one text; empty for none. */
export function configurationText({ config, configText }: Pick<PluginFilterSpec, "config" | "configText">): string {
  if (configText !== undefined) return configText;
  return Object.keys(config).length === 0 ? "" : JSON.stringify(config);
}
