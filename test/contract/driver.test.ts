import { describe, test } from "vitest";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { createEpollDriver } from "#io/epoll/driver.ts";
import { CALM, ROUGH } from "#io/fake/faults.ts";
import { createUringDriver } from "#io/uring/driver.ts";
import { ARENA_BUFFERS } from "./driver.bench.ts";
import { driverContract } from "./driver.cases.ts";
import { RealNetwork } from "./driver.real.ts";
import { SimulatedNetwork } from "./driver.simulated.ts";

const ARENA_BYTES = ARENA_BUFFERS * BUFFER_BYTES;

/** Why this kernel or container lets nobody use io_uring; null when it does. */
function uringRefusal(): string | null {
  try {
    createUringDriver({ arena: createArena(ARENA_BYTES) }).dispose();
    return null;
  } catch (error) {
    return String(error);
  }
}

describe("epoll", () => {
  driverContract(() => new RealNetwork((arena) => createEpollDriver({ arena }), ARENA_BYTES));
});

describe("io_uring", () => {
  const refusal = uringRefusal();
  if (refusal === null) driverContract(() => new RealNetwork((arena) => createUringDriver({ arena }), ARENA_BYTES));
  else test.skip(`not allowed here: ${refusal}`, () => {});
});

describe("fake, calm", () => {
  driverContract(() => new SimulatedNetwork(ARENA_BYTES, 1, CALM));
});

describe.each([2, 3, 4])("fake, rough, seed %i", (seed) => {
  driverContract(() => new SimulatedNetwork(ARENA_BYTES, seed, ROUGH));
});
