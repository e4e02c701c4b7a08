/** What a region asks of the process that maps it. */
import { hrtime, pid } from "node:process";
import { yieldCore } from "#sys/memory-file.ts";
import type { RegionHost } from "./key-value-region.ts";

/** From `performance.now`, which begins anew in each process, to CLOCK_MONOTONIC, which is the machine's. */
const startedMs = Number(hrtime.bigint()) / 1e6 - performance.now();

export const REGION_HOST: RegionHost = {
  pid,
  nowMs: () => startedMs + performance.now(),
  yieldCore,
};
