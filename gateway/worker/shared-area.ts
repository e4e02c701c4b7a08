/**
 * Memory that the workers of one gateway share: a file without a name, made by the supervisor and handed to every worker at its
 * start. What stands in it outlives workers and snapshots, and goes with the supervisor.
 *
 *     seeds (a page) │ connections, a block for each worker │ token buckets
 *
 * Pages cost memory once they are used.
 */
import { randomInt } from "node:crypto";
import type { Fd } from "#core/brands.ts";
import { BucketTable, bucketTableBytes, ownBucketTable, seedBuckets } from "#plugins/bucket-table.ts";
import { ConnectionCounts, connectionCountsBytes, ownConnectionCounts } from "#proxy/connection-counts.ts";
import { createMemoryFile, growMemoryFile } from "#sys/memory-file.ts";
import { MAP_SHARED, mapMemory } from "#sys/memory.ts";

const PAGE_BYTES = 4096;
/** Of all limits of all routes together: 6 MiB when all are in use. */
const BUCKET_PLACES = 1 << 19;
/** Of a process that is alone. */
const OWN_BUCKET_PLACES = 1 << 12;

export interface SharedArea {
  readonly connections: ConnectionCounts;
  readonly limits: BucketTable;
}

function sizeOf(workers: number): { readonly counts: number; readonly buckets: number; readonly bytes: number } {
  const counts = Math.ceil(connectionCountsBytes(workers) / PAGE_BYTES) * PAGE_BYTES;
  const buckets = bucketTableBytes(BUCKET_PLACES);
  const bytes = Math.ceil((PAGE_BYTES + counts + buckets) / PAGE_BYTES) * PAGE_BYTES;
  return { counts, buckets, bytes };
}

/** A new one, for the supervisor, which owns the descriptor. Throws SystemCallError. */
export function makeSharedArea(workers: number): { readonly fd: Fd; readonly area: SharedArea } {
  const { counts, buckets, bytes } = sizeOf(workers);
  const fd = createMemoryFile("penstock-shared");
  growMemoryFile(fd, bytes);
  const { bytes: memory } = mapMemory(bytes, fd, 0, MAP_SHARED);
  new Int32Array(memory, 0, 1)[0] = randomInt(2 ** 31);
  seedBuckets(new Int32Array(memory, PAGE_BYTES + counts, buckets / 4));
  return { fd, area: areaOf(memory, workers, 0) };
}

/** The one that the supervisor has made, as worker number `worker` sees it. Throws SystemCallError. */
export function openSharedArea(fd: Fd, workers: number, worker: number): SharedArea {
  return areaOf(mapMemory(sizeOf(workers).bytes, fd, 0, MAP_SHARED).bytes, workers, worker);
}

function areaOf(memory: ArrayBuffer, workers: number, worker: number): SharedArea {
  const { counts, buckets } = sizeOf(workers);
  const seed = new Int32Array(memory, 0, 1)[0] as number;
  const words = new Int32Array(memory, PAGE_BYTES, connectionCountsBytes(workers) / 4);
  return {
    connections: new ConnectionCounts(words, workers, worker, seed),
    limits: new BucketTable(new Int32Array(memory, PAGE_BYTES + counts, buckets / 4)),
  };
}

/** From this process's milliseconds (`performance.now`, each has its own beginning) to those of CLOCK_MONOTONIC, which all share. */
export function sharedClockOffsetMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}

/** Of a worker that is alone: in a test, or a simulation. */
export function ownArea(): SharedArea {
  return { connections: ownConnectionCounts(), limits: ownBucketTable(OWN_BUCKET_PLACES) };
}
