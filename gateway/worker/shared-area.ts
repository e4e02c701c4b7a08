/**
 * Memory that the workers of one gateway share: two files without names, made by the supervisor and handed to every worker at its
 * start. What stands in them outlives workers and snapshots.
 *
 *     of this supervisor   seeds (a page) │ connections, a block for each worker │ metrics, a block for each worker
 *     of the gateway       token buckets: a successor's workers take from the same ones as those that drain
 *
 * Pages cost memory once they are used.
 */
import { randomInt } from "node:crypto";
import type { Fd } from "#core/brands.ts";
import { METERS_MAX } from "#observe/meters.ts";
import { MetricsBlock, metricsBlockBytes, ownMetricsBlock } from "#observe/metrics-block.ts";
import { BucketTable, bucketTableBytes, ownBucketTable, seedBuckets } from "#plugins/bucket-table.ts";
import { ConnectionCounts, connectionCountsBytes, ownConnectionCounts } from "#proxy/connection-counts.ts";
import { createMemoryFile, growMemoryFile, memoryFileBytes } from "#sys/memory-file.ts";
import { MAP_SHARED, mapMemory } from "#sys/memory.ts";
import { close } from "#sys/socket.ts";

const PAGE_BYTES = 4096;
/** Of all limits of all routes together: 6 MiB when all are in use. */
const BUCKET_PLACES = 1 << 19;
const BUCKETS_BYTES = pages(bucketTableBytes(BUCKET_PLACES));
const METRICS_BYTES = Math.ceil(metricsBlockBytes(METERS_MAX) / PAGE_BYTES) * PAGE_BYTES;
/** Of a process that is alone. */
const OWN_BUCKET_PLACES = 1 << 12;
const OWN_METERS = 64;

export interface SharedArea {
  readonly connections: ConnectionCounts;
  readonly limits: BucketTable;
  /** Of this worker. */
  readonly metrics: MetricsBlock;
}

interface Layout {
  readonly connections: number;
  readonly metrics: number;
  readonly bytes: number;
}

/** Where each part begins, and where the last ends. */
function layoutFor(workers: number): Layout {
  const connections = PAGE_BYTES;
  const metrics = connections + pages(connectionCountsBytes(workers));
  return { connections, metrics, bytes: metrics + workers * METRICS_BYTES };
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * A new one, for the supervisor, which owns the descriptors and reads the metrics of all. `inherited`: the buckets of the gateway
 * before this one, taken over if they are as ours would be. Throws SystemCallError.
 */
export function makeSharedArea(
  workers: number,
  inherited: Fd | null = null,
): {
  readonly fd: Fd;
  readonly bucketsFd: Fd;
  readonly area: SharedArea;
  readonly metrics: readonly MetricsBlock[];
} {
  const { bytes } = layoutFor(workers);
  const fd = createMemoryFile("penstock-shared");
  growMemoryFile(fd, bytes);
  const { bytes: memory } = mapMemory(bytes, fd, 0, MAP_SHARED);
  new Int32Array(memory, 0, 1)[0] = randomInt(2 ** 31);
  const bucketsFd = inherited !== null && memoryFileBytes(inherited) === BUCKETS_BYTES ? inherited : newBuckets();
  if (inherited !== null && bucketsFd !== inherited) close(inherited);
  const metrics = Array.from({ length: workers }, (_, worker) => metricsOf(memory, workers, worker));
  return { fd, bucketsFd, area: areaOf(memory, bucketsFd, workers, 0), metrics };
}

function newBuckets(): Fd {
  const fd = createMemoryFile("penstock-buckets");
  growMemoryFile(fd, BUCKETS_BYTES);
  const mapping = mapMemory(BUCKETS_BYTES, fd, 0, MAP_SHARED);
  seedBuckets(new Int32Array(mapping.bytes, 0, bucketTableBytes(BUCKET_PLACES) / 4));
  mapping.unmap();
  return fd;
}

/** The one that the supervisor has made, as worker number `worker` sees it. Throws SystemCallError. */
export function openSharedArea(fd: Fd, bucketsFd: Fd, workers: number, worker: number): SharedArea {
  return areaOf(mapMemory(layoutFor(workers).bytes, fd, 0, MAP_SHARED).bytes, bucketsFd, workers, worker);
}

function areaOf(memory: ArrayBuffer, bucketsFd: Fd, workers: number, worker: number): SharedArea {
  const { connections } = layoutFor(workers);
  const { bytes: buckets } = mapMemory(BUCKETS_BYTES, bucketsFd, 0, MAP_SHARED);
  const seed = new Int32Array(memory, 0, 1)[0] as number;
  const words = new Int32Array(memory, connections, connectionCountsBytes(workers) / 4);
  return {
    connections: new ConnectionCounts(words, workers, worker, seed),
    limits: new BucketTable(new Int32Array(buckets, 0, bucketTableBytes(BUCKET_PLACES) / 4)),
    metrics: metricsOf(memory, workers, worker),
  };
}

function metricsOf(memory: ArrayBuffer, workers: number, worker: number): MetricsBlock {
  return new MetricsBlock(memory, layoutFor(workers).metrics + worker * METRICS_BYTES, METERS_MAX);
}

/** From this process's milliseconds (`performance.now`, each has its own beginning) to those of CLOCK_MONOTONIC, which all share. */
export function sharedClockOffsetMs(): number {
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}

/** Of a worker that is alone: in a test, or a simulation. */
export function ownArea(): SharedArea {
  return {
    connections: ownConnectionCounts(),
    limits: ownBucketTable(OWN_BUCKET_PLACES),
    metrics: ownMetricsBlock(OWN_METERS),
  };
}
