/** Upstreams without sockets: what they choose is told by their members. */
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createFakeDriver } from "#io/fake/driver.ts";
import { Loop } from "#io/loop.ts";
import { WriteGather } from "#net/gather.ts";
import { headScratch } from "#proxy/head-scratch.ts";
import { Endpoints } from "#upstream/endpoints.ts";
import { Upstream } from "#upstream/upstream.ts";
import { testSnapshot, type SnapshotOptions } from "#test/support/snapshot.ts";

/** What upstreams of one worker share; `workers`: how many there are. */
export function testEndpoints(workers = 1): Endpoints {
  const driver = createFakeDriver({ arena: createArena(8 * BUFFER_BYTES), seed: 1 });
  const loop = new Loop(driver, () => driver.nowMs);
  return new Endpoints({ loop, gather: new WriteGather(), scratch: headScratch(driver.buffers) }, workers);
}

/** The one upstream of a snapshot. */
export function testUpstream(options: SnapshotOptions, endpoints = testEndpoints()): Upstream {
  const [spec] = testSnapshot(options).upstreams;
  if (spec === undefined) throw new Error("a snapshot without an upstream");
  return new Upstream(spec, endpoints);
}
