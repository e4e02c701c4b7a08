/**
 * What a tenant may have and use. The first five, and the fuel of one call, are checked when something is declared or uploaded; the
 * others while its plugins run, where what is too much is refused, counted, and told to the plugin.
 */
import * as v from "valibot";
import type { TenantQuotas } from "#snapshot/snapshot.ts";
import { fields } from "./fields.ts";
import { integer } from "./primitives.ts";

const MIB = 2 ** 20;

export const Quotas = fields("quotas", {
  routes: v.optional(integer(0, 100_000), 1000),
  upstreams: v.optional(integer(0, 10_000), 100),
  secrets: v.optional(integer(0, 10_000), 100),
  /** Versions of plugins. */
  plugins: v.optional(integer(0, 100_000), 1000),
  /** Of all its modules together, each counted once; also the most that one may have, up to 16 MiB. */
  pluginBytes: v.optional(integer(0, 2 ** 30), 16 * MIB),
  /** Of all calls of all its plugins. Half of what a core does. */
  fuelPerSecond: v.optional(integer(1, 1_000_000_000_000), 500_000_000),
  /** That one route may give one call of one hook: two million are spent in some 25 ms at worst, in which a worker does nothing else. */
  fuelPerCall: v.optional(integer(1_000_000, 200_000_000), 2_000_000),
  /** Instances of its plugins in one worker: one for each place in a route, and one for each call that waits. */
  guests: v.optional(integer(0, 1_000_000), 4096),
  /** Calls that wait for an upstream, in one worker. */
  suspendedCalls: v.optional(integer(0, 100_000), 256),
  logLinesPerSecond: v.optional(integer(0, 100_000), 100),
  /** Series of metrics that its plugins may define. */
  metricSeries: v.optional(integer(0, 10_000), 100),
  /** Of key/value entries, in blocks of 64, 128, 256 … bytes. */
  keyValueBytes: v.optional(integer(0, 16 * MIB), MIB),
  /** That its plugins may have in shared maps. */
  mapEntries: v.optional(integer(0, 4_194_304), 65_536),
});

/** What workers are told. */
export function runningQuotas(quotas: v.InferOutput<typeof Quotas>): TenantQuotas {
  const { fuelPerSecond, logLinesPerSecond, mapEntries, keyValueBytes, metricSeries, guests, suspendedCalls } = quotas;
  return { fuelPerSecond, logLinesPerSecond, mapEntries, keyValueBytes, metricSeries, guests, suspendedCalls };
}
