/**
 * Memory that the workers of one gateway share: a file without a name, made by the supervisor and handed to every worker at its
 * start. What stands in it outlives workers and snapshots, and goes with the supervisor.
 *
 *     seeds (a page) │ connections, a block for each worker │ token buckets │ metrics, a block for each worker
 *
 * Pages cost memory once they are used.
 */
import { randomInt } from "node:crypto";
import type { Fd } from "#core/brands.ts";
import { METERS_MAX } from "#observe/meters.ts";
import { MetricsBlock, metricsBlockBytes, ownMetricsBlock } from "#observe/metrics-block.ts";
import { BucketTable, bucketTableBytes, ownBucketTable, seedBuckets } from "#plugins/bucket-table.ts";
import { ConnectionCounts, connectionCountsBytes, ownConnectionCounts } from "#proxy/connection-counts.ts";
import { createMemoryFile, growMemoryFile } from "#sys/memory-file.ts";
import { MAP_SHARED, mapMemory } from "#sys/memory.ts";

const PAGE_BYTES = 4096;
/** Of all limits of all routes together: 6 MiB when all are in use. */
const BUCKET_PLACES = 1 << 19;
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
  readonly buckets: number;
  readonly metrics: number;
  readonly bytes: number;
}

/** Where each part begins, and where the last ends. */
function layoutFor(workers: number): Layout {
  const connections = PAGE_BYTES;
  const buckets = connections + pages(connectionCountsBytes(workers));
  const metrics = buckets + pages(bucketTableBytes(BUCKET_PLACES));
  return { connections, buckets, metrics, bytes: metrics + workers * METRICS_BYTES };
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/** A new one, for the supervisor, which owns the descriptor and reads the metrics of all. Throws SystemCallError. */
export function makeSharedArea(workers: number): {
  readonly fd: Fd;
  readonly area: SharedArea;
  readonly metrics: readonly MetricsBlock[];
} {
  const { buckets, bytes } = layoutFor(workers);
  const fd = createMemoryFile("penstock-shared");
  growMemoryFile(fd, bytes);
  const { bytes: memory } = mapMemory(bytes, fd, 0, MAP_SHARED);
  new Int32Array(memory, 0, 1)[0] = randomInt(2 ** 31);
  seedBuckets(new Int32Array(memory, buckets, bucketTableBytes(BUCKET_PLACES) / 4));
  const metrics = Array.from({ length: workers }, (_, worker) => metricsOf(memory, workers, worker));
  return { fd, area: areaOf(memory, workers, 0), metrics };
}

/** The one that the supervisor has made, as worker number `worker` sees it. Throws SystemCallError. */
export function openSharedArea(fd: Fd, workers: number, worker: number): SharedArea {
  return areaOf(mapMemory(layoutFor(workers).bytes, fd, 0, MAP_SHARED).bytes, workers, worker);
}

function areaOf(memory: ArrayBuffer, workers: number, worker: number): SharedArea {
  const { connections, buckets } = layoutFor(workers);
  const seed = new Int32Array(memory, 0, 1)[0] as number;
  const words = new Int32Array(memory, connections, connectionCountsBytes(workers) / 4);
  return {
    connections: new ConnectionCounts(words, workers, worker, seed),
    limits: new BucketTable(new Int32Array(memory, buckets, bucketTableBytes(BUCKET_PLACES) / 4)),
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
