/**
 * The memory of tenants' key/value entries: one file in memory, a region of it for each tenant that some route grants them to.
 * Workers are handed the file and map the regions; what a tenant stored outlives each of them. A successor is handed it too, and its
 * workers share the regions with those that drain.
 *
 * A region belongs to one tenant for good: its place is never given to another, since a worker may still have it mapped. When
 * the tenant goes, or its quota changes and its entries have been copied, the memory is given back and the place stays empty.
 */
import { randomBytes } from "node:crypto";
import type { EntriesReply, EntriesRequest } from "#control/protocol.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { createMemoryFile, growMemoryFile, memoryFileBytes, punchMemoryFile } from "#sys/memory-file.ts";
import { mapMemory, MAP_SHARED, type Mapping } from "#sys/memory.ts";
import type { TenantMemoryGrant } from "#worker/protocol.ts";
import { KeyValueRegion } from "#worker/tenants/key-value-region.ts";
import { REGION_HOST } from "#worker/tenants/region-host.ts";
import { bucketsFor, formatRegion, isRegion, regionBytes } from "#worker/tenants/region-layout.ts";
import { recover } from "#worker/tenants/region-recovery.ts";
import { tagged, type Tagged } from "./tags.ts";

interface Region {
  readonly tenant: string;
  readonly limitBytes: number;
  readonly offset: number;
  readonly mapping: Mapping;
  readonly store: KeyValueRegion;
}

/** The file, and the regions in force, for a successor. */
export interface TenantRegions {
  readonly file: Tagged;
  readonly regions: readonly { readonly tenant: string; readonly limitBytes: number; readonly offset: number }[];
}

export class TenantMemory {
  #file: Tagged | null = null;
  #regions = new Map<string, Region>();
  #prepared: Map<string, Region> | null = null;

  /** `inherited`: of the gateway before this one. Throws PENSTOCK_SYS_CALL. */
  constructor(inherited: TenantRegions | null = null) {
    if (inherited === null) return;
    this.#file = inherited.file;
    for (const { tenant, limitBytes, offset } of inherited.regions) {
      const mapping = mapMemory(regionBytes(limitBytes), inherited.file.fd, offset, MAP_SHARED);
      if (!isRegion(mapping.bytes, limitBytes)) {
        mapping.unmap();
        continue;
      }
      const store = new KeyValueRegion(mapping.bytes, REGION_HOST);
      this.#regions.set(tenant, { tenant, limitBytes, offset, mapping, store });
    }
  }

  /** Null: there is nothing. */
  estate(): TenantRegions | null {
    if (this.#file === null) return null;
    const regions = Array.from(this.#regions.values(), ({ tenant, limitBytes, offset }) => ({
      tenant,
      limitBytes,
      offset,
    }));
    return { file: this.#file, regions };
  }

  /** The regions of a snapshot. Throws PENSTOCK_SYS_CALL. */
  prepare(snapshot: Snapshot): void {
    const next = new Map<string, Region>();
    for (const [tenant, limitBytes] of limitsOf(snapshot)) {
      const known = this.#regions.get(tenant);
      next.set(tenant, known?.limitBytes === limitBytes ? known : this.#make(tenant, limitBytes, known));
    }
    this.#prepared = next;
  }

  commit(): void {
    if (this.#prepared === null) return;
    const before = this.#regions;
    this.#regions = this.#prepared;
    this.#prepared = null;
    this.#giveBack(before, this.#regions);
  }

  abort(): void {
    if (this.#prepared !== null) this.#giveBack(this.#prepared, this.#regions);
    this.#prepared = null;
  }

  /** For a worker; null: no tenant has any. */
  grant(): { readonly message: TenantMemoryGrant; readonly descriptor: Tagged } | null {
    const regions = this.#prepared ?? this.#regions;
    if (this.#file === null || regions.size === 0) return null;
    const places = Array.from(regions.values(), ({ tenant, offset, mapping }) => ({
      tenant,
      offset,
      bytes: mapping.bytes.byteLength,
    }));
    return { message: { fdTag: this.#file.tag, regions: places }, descriptor: this.#file };
  }

  /** The admin API's look at a tenant's entries. A tenant without any has none to show, or to clear. */
  serve({ tenant, op }: EntriesRequest): EntriesReply["result"] {
    const store = this.#regions.get(tenant)?.store;
    if (store === undefined) return { ok: true, usedBytes: 0, count: 0, entries: [] };
    const busy = { ok: false, detail: "the tenant's entries are in use: ask again" } as const;
    if (op.kind === "clear") {
      if (!store.clear()) return busy;
      return { ok: true, usedBytes: 0, count: 0, entries: [] };
    }
    const listed = store.list(op.limit);
    if (listed === null) return busy;
    const nowMs = REGION_HOST.nowMs();
    const entries = listed.map(({ key, entry: { value, version }, expiryMs }) => ({
      key,
      value,
      version,
      leftMs: expiryMs === 0 ? 0 : Math.max(1, Math.round(expiryMs - nowMs)),
    }));
    return { ok: true, usedBytes: store.usedBytes, count: store.entries, entries };
  }

  /** Mends what a worker that has died left locked. Answers the tenants concerned. */
  died(pid: number): string[] {
    const mended: string[] = [];
    const all = new Set([...this.#regions.values(), ...(this.#prepared?.values() ?? [])]);
    for (const { tenant, limitBytes, mapping } of all) {
      if (recover(mapping.bytes, bucketsFor(limitBytes), pid)) mended.push(tenant);
    }
    return mended;
  }

  #make(tenant: string, limitBytes: number, before: Region | undefined): Region {
    this.#file ??= tagged(createMemoryFile("penstock-tenants"));
    const { fd } = this.#file;
    const bytes = regionBytes(limitBytes);
    // Behind all that is there: during an upgrade two supervisors make regions in one file.
    const offset = memoryFileBytes(fd);
    growMemoryFile(fd, offset + bytes);
    const mapping = mapMemory(bytes, fd, offset, MAP_SHARED);
    formatRegion(mapping.bytes, limitBytes, randomBytes(4).readInt32LE());
    const store = new KeyValueRegion(mapping.bytes, REGION_HOST);
    if (before !== undefined) store.copyFrom(before.store);
    return { tenant, limitBytes, offset, mapping, store };
  }

  #giveBack(regions: ReadonlyMap<string, Region>, kept: ReadonlyMap<string, Region>): void {
    for (const region of regions.values()) {
      if (kept.get(region.tenant) === region || this.#file === null) continue;
      const { offset, mapping } = region;
      punchMemoryFile(this.#file.fd, offset, mapping.bytes.byteLength);
      mapping.unmap();
    }
  }
}

/** Bytes for each tenant that a route grants its entries to. */
function limitsOf({ tenants = [], routes }: Snapshot): Map<string, number> {
  const granted = new Set<string>();
  for (const { tenant, filters } of routes) {
    if (filters.some((filter) => filter.kind === "plugin" && filter.allow.keyValue === true)) granted.add(tenant);
  }
  const limits = new Map<string, number>();
  for (const { name, quotas } of tenants) {
    if (granted.has(name) && quotas.keyValueBytes > 0) limits.set(name, quotas.keyValueBytes);
  }
  return limits;
}
