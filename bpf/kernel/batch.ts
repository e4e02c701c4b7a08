/**
 * Many entries of a map in one call: 0.4 µs an entry to write or delete, against 1.1. The kernel works a batch off entry by entry, so
 * others may see, and change, the map in between; where one entry fails, those before it stand.
 *
 *     attr   [ &from | &to | &keys | &values | count:32 fd:32 | element flags | flags ]
 */
import type { Fd } from "#core/brands.ts";
import { EINVAL, ENOENT } from "#core/errno.ts";
import { assert } from "#core/assert.ts";
import { BPF, BPF_ANY, bpfCall, putPointer } from "#sys/bpf.ts";
import { callError } from "./call.ts";
import { ENOTSUPP } from "./constants.ts";

export interface Batch {
  /** Places in a walk: a bucket number for hashes, a key for the others. */
  readonly from?: Buffer | null;
  readonly to?: Buffer;
  readonly keys: Buffer;
  readonly values?: Buffer;
  /** Entries, or room for them. */
  readonly count: number;
  /** BPF_ANY, BPF_NOEXIST, BPF_EXIST */
  readonly elementFlags?: number;
}

/** What of a map (map.ts) is needed here. */
interface Entries {
  readonly fd: Fd;
  readonly name: string;
  readonly info: { readonly keyBytes: number };
  readonly valueSlotBytes: number;
  tryUpdate(key: Uint8Array, value: Uint8Array, flags: number): number;
  delete(key: Uint8Array): boolean;
}

export interface BatchResult {
  /** 0 or −errno. */
  readonly result: number;
  /** Entries that were worked off. */
  readonly count: number;
}

export function batchCall(command: number, fd: Fd, batch: Batch): BatchResult {
  const attr = Buffer.alloc(56);
  putPointer(attr, 0, batch.from ?? null);
  putPointer(attr, 8, batch.to ?? null);
  putPointer(attr, 16, batch.keys);
  putPointer(attr, 24, batch.values ?? null);
  attr.writeUInt32LE(batch.count, 32);
  attr.writeUInt32LE(fd, 36);
  attr.writeUInt32LE(batch.elementFlags ?? BPF_ANY, 40);
  const result = bpfCall(command, attr);
  return { result, count: attr.readUInt32LE(32) };
}

/** Whether this is how the kernel says that a kind of map has no batches. */
export function withoutBatches(result: number): boolean {
  return result === -ENOTSUPP || result === -EINVAL;
}

/**
 * Writes all entries; `keys` and `values` stand end to end. Kinds without batches are written one by one. Throws
 * PENSTOCK_BPF_CALL at the first that can't be written, saying how many were.
 */
export function updateBatch(map: Entries, keys: Buffer, values: Buffer, elementFlags = BPF_ANY): void {
  const count = entriesOf(map, keys);
  assert(values.length === count * map.valueSlotBytes, `${values.length} bytes of values for ${count} keys`);
  if (count === 0) return;
  const batch = batchCall(BPF.MAP_UPDATE_BATCH, map.fd, { keys, values, count, elementFlags });
  if (batch.result === 0) return;
  const { result, count: done } = withoutBatches(batch.result) ? updateEach(map, keys, values, elementFlags) : batch;
  if (result < 0) throw callError(`map_update_batch ${map.name}, after ${done} of ${count} entries`, -result);
}

function updateEach(map: Entries, keys: Buffer, values: Buffer, elementFlags: number): BatchResult {
  const [keyBytes, valueBytes] = [map.info.keyBytes, map.valueSlotBytes];
  const count = keys.length / keyBytes;
  for (let i = 0; i < count; i++) {
    const key = keys.subarray(i * keyBytes, (i + 1) * keyBytes);
    const result = map.tryUpdate(key, values.subarray(i * valueBytes, (i + 1) * valueBytes), elementFlags);
    if (result < 0) return { result, count: i };
  }
  return { result: 0, count };
}

/** Deletes these keys, which stand end to end; answers how many were there. Throws PENSTOCK_BPF_CALL. */
export function deleteBatch(map: Entries, keys: Buffer): number {
  const { keyBytes } = map.info;
  const total = entriesOf(map, keys);
  let deleted = 0;
  for (let at = 0; at < total;) {
    const rest = keys.subarray(at * keyBytes);
    const { result, count } = batchCall(BPF.MAP_DELETE_BATCH, map.fd, { keys: rest, count: total - at });
    if (withoutBatches(result)) return deleted + deleteEach(map, rest);
    if (result < 0 && result !== -ENOENT) throw callError(`map_delete_batch ${map.name}`, -result);
    deleted += count;
    // The kernel stops at a key that is not there: it is passed over.
    at += result === 0 ? count : count + 1;
  }
  return deleted;
}

function deleteEach(map: Entries, keys: Buffer): number {
  const { keyBytes } = map.info;
  let deleted = 0;
  for (let at = 0; at < keys.length; at += keyBytes) if (map.delete(keys.subarray(at, at + keyBytes))) deleted++;
  return deleted;
}

function entriesOf(map: Entries, keys: Buffer): number {
  const count = keys.length / map.info.keyBytes;
  assert(Number.isInteger(count), `${keys.length} bytes are no whole number of keys of ${map.name}`);
  return count;
}
