/**
 * Two thousand plugins, all different, in one process with the worker's flags: metered before, as they come to a worker; compiled, and each
 * a configured guest of its own. A process of its own: `node FLAGS many.ts` answers one line of JSON.
 */
import { readFileSync } from "node:fs";
import { filterSpec, MAPS, PLUGIN, RESOURCES, TestServices } from "#test/support/wasm.ts";
import { createWasmFilter, loadModule, type WasmFilter } from "#wasm/create-filter.ts";
import { prepareModule } from "#wasm/prepare.ts";
import { core } from "./modules.ts";

const PLUGINS = 2000;

/** Resident memory of this process, in bytes. */
function resident(): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]) * 1024;
}

const prepared = Array.from({ length: PLUGINS }, (_, salt) => prepareModule(core(salt)).bytes);
const services = new TestServices(MAPS, { guests: PLUGINS + 1 });
await createWasmFilter(filterSpec(), PLUGIN, await loadModule(prepareModule(core(-1)).bytes), services, RESOURCES);
const before = resident();
const startedMs = performance.now();
const cpuBefore = process.cpuUsage();
const filters: WasmFilter[] = [];
for (const bytes of prepared)
  filters.push(await createWasmFilter(filterSpec(), PLUGIN, await loadModule(bytes), services, RESOURCES));
const ms = performance.now() - startedMs;
const { user, system } = process.cpuUsage(cpuBefore);
const line = {
  plugins: filters.length,
  ms,
  cpuMs: (user + system) / 1000,
  bytes: resident() - before,
  all: resident(),
};
process.stdout.write(`${JSON.stringify(line)}\n`);
