/**
 * Loads, configures, runs and drops plugins, each module another one, as a worker does when versions follow each other: `node
 * --expose-gc reloads-child.ts COUNT` answers one line of JSON.
 */
import { readFileSync } from "node:fs";
import { core } from "#test/bench/plugins/modules.ts";
import { filterSpec, MAPS, PLUGIN, RESOURCES, TestExchange, TestServices } from "#test/support/wasm.ts";
import { createWasmFilter, loadModule } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";

const count = Number(process.argv[2]);
/** Modules are made anew after so many: assembling one costs more than loading it. */
const DIFFERENT = 200;
/** Requests through each, and one of them faults now and then. */
const REQUESTS = 3;

/** Resident memory, after all that can go has gone. */
async function resident(): Promise<number> {
  for (let turn = 0; turn < 4; turn++) {
    global.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]) * 1024;
}

const modules = Array.from({ length: DIFFERENT }, (_, salt) => prepareModule(core(salt)).bytes);
const services = new TestServices(MAPS, { guests: 8 });
const readings: number[] = [];
const every = Math.max(1, Math.floor(count / 8));
for (let reload = 0; reload < count; reload++) {
  const bytes = modules[reload % DIFFERENT] ?? new Uint8Array();
  const spec = filterSpec({
    limits: { fuel: reload % 10 === 0 ? 50 : 200_000, memoryBytes: 1 << 20, deadlineMs: 100 },
  });
  const filter = await createWasmFilter(spec, PLUGIN, await loadModule(bytes), services, RESOURCES);
  for (let request = 0; request < REQUESTS; request++) filter.requestHead(new TestExchange(), 0);
  // A guest that is made after a fault comes in a turn of its own.
  await new Promise((resolve) => setImmediate(resolve));
  filter.dispose();
  services.logs.length = 0;
  services.clockMs += 1000;
  if ((reload + 1) % every === 0) readings.push(await resident());
}
process.stdout.write(`${JSON.stringify({ reloads: count, readings, guestsLeft: services.tenant.guests.taken })}\n`);
