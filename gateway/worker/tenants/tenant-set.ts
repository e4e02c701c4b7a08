/**
 * The tenants of this worker, by name: kept from one snapshot to the next, with what they have counted. Filters ask for their
 * tenant while a snapshot is prepared; a tenant that no snapshot names any more is forgotten, and lives on in the filters that
 * end with their last exchange.
 */
import { defined } from "#core/assert.ts";
import type { SharedMap } from "#pipeline/filter.ts";
import type { MapSpec, Snapshot, TenantQuotas } from "#snapshot/snapshot.ts";
import { mapMemory, MAP_SHARED, type Mapping } from "#sys/memory.ts";
import type { Descriptors } from "#worker/descriptors.ts";
import type { PluginLine, TenantMemoryGrant } from "#worker/protocol.ts";
import { Account, type AccountHost } from "./account.ts";
import { KeyValueRegion } from "./key-value-region.ts";
import { REGION_HOST } from "./region-host.ts";
import { RecentLines } from "./recent-lines.ts";
import { type EntryAllowance, TenantMap } from "./tenant-map.ts";
import { Turns } from "./turns.ts";

/** Of a snapshot that says nothing of tenants. */
const UNBOUNDED: TenantQuotas = {
  fuelPerSecond: Number.MAX_SAFE_INTEGER,
  logLinesPerSecond: 100,
  mapEntries: Number.MAX_SAFE_INTEGER,
  keyValueBytes: 0,
  metricSeries: 100,
  guests: Number.MAX_SAFE_INTEGER,
  suspendedCalls: 256,
};

interface Tenant {
  readonly account: Account;
  readonly entries: EntryAllowance;
  readonly maps: Map<SharedMap, TenantMap>;
  readonly lines: RecentLines;
  /** Offset of its region in the supervisor's file; −1: none is mapped. */
  regionAt: number;
}

/** A mapping goes when nothing refers to its bytes any more: filters of earlier snapshots may, for a while. */
const mappings = new FinalizationRegistry<Mapping["unmap"]>((unmap) => unmap());

export class TenantSet {
  readonly #host: AccountHost;
  readonly #turns = new Turns();
  readonly #tenants = new Map<string, Tenant>();
  #quotas = new Map<string, TenantQuotas>();

  constructor(host: AccountHost) {
    this.#host = host;
  }

  /** Before the filters of the snapshot are made. */
  prepare({ tenants }: Snapshot, tenantMemory: TenantMemoryGrant | undefined, descriptors: Descriptors): void {
    this.#quotas = new Map(tenants?.map(({ name, quotas }) => [name, quotas]));
    if (tenantMemory === undefined) return;
    const fd = defined(descriptors.byTag.get(tenantMemory.fdTag), "the tenants' memory");
    for (const { tenant: name, offset, bytes } of tenantMemory.regions) {
      const tenant = this.#tenant(name);
      if (tenant.regionAt === offset) continue;
      const mapping = mapMemory(bytes, fd, offset, MAP_SHARED);
      mappings.register(mapping.bytes, mapping.unmap);
      tenant.account.keyValue = new KeyValueRegion(mapping.bytes, REGION_HOST);
      tenant.regionAt = offset;
    }
  }

  /** It is in force. */
  commit({ tenants = [], plugins }: Snapshot): void {
    const named = new Set([...tenants.map(({ name }) => name), ...plugins.map(({ tenant }) => tenant)]);
    for (const [name, tenant] of this.#tenants) {
      if (named.has(name)) tenant.account.quotas = this.#quotas.get(name) ?? UNBOUNDED;
      else this.#tenants.delete(name);
    }
  }

  account(name: string): Account {
    return this.#tenant(name).account;
  }

  said(name: string, line: Parameters<RecentLines["add"]>[0]): void {
    this.#tenant(name).lines.add(line);
  }

  linesAfter(name: string, number: number): PluginLine[] {
    return this.#tenants.get(name)?.lines.after(number) ?? [];
  }

  /** A shared map as this tenant's plugins see it. */
  map(name: string, map: SharedMap, spec: MapSpec): SharedMap {
    const { maps, entries } = this.#tenant(name);
    const known = maps.get(map);
    if (known !== undefined) return known;
    for (const [other, seen] of maps) {
      if (other.name !== map.name) continue;
      seen.dispose();
      maps.delete(other);
    }
    const made = new TenantMap(map, spec, entries);
    maps.set(map, made);
    return made;
  }

  counters(): Record<string, number> {
    const all: Record<string, number> = {};
    for (const [name, { account, entries }] of this.#tenants) {
      account.read(all);
      all[`tenant_map_entries{tenant="${name}"}`] = entries.entries;
      all[`tenant_map_entries_refused{tenant="${name}"}`] = entries.refused;
    }
    return all;
  }

  #tenant(name: string): Tenant {
    const known = this.#tenants.get(name);
    if (known !== undefined) return known;
    const account = new Account(name, this.#quotas.get(name) ?? UNBOUNDED, this.#host, this.#turns);
    const entriesMax = (): number => Math.ceil(account.quotas.mapEntries / this.#host.workers);
    const made: Tenant = {
      account,
      entries: { entriesMax, entries: 0, refused: 0 },
      maps: new Map(),
      lines: new RecentLines(),
      regionAt: -1,
    };
    this.#tenants.set(name, made);
    return made;
  }
}
