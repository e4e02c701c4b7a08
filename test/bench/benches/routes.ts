/**
 * HTTP/1.1 through 100 000 routes against 10, the same gateway twice: keep-alive, 64 connections, each request for another
 * route, far from the one before, so that with many routes nearly every look-up misses the caches.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { runRounds } from "#test/bench/rounds.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";

const FEW = 10;
/** With the one for everything else, as many as a tenant may have at most. */
const MANY = 99_999;
const BOUND = 1.05;
const CONNECTIONS = 64;
/** Long enough to ask for each route once: the first request of each makes what it is counted by. */
const WARM_UP_SECONDS = 10;

/** A multiplier without common factors with a power of ten, or with one less, visits all paths. */
function visiting(scope: Scope, services: number): string {
  const file = join(scope.directory(), "paths.lua");
  const script = `local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/service-" .. (n * 7368787 % ${services}) .. "/item")
end
`;
  writeFileSync(file, script);
  return file;
}

export const routes: Bench = async (scope, options) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const at = { upstream: address, cpu: cpus.proxy, token: null };
  const few = await startPenstock(scope, { ...at, services: FEW });
  options.progress(`declaring ${MANY} routes`);
  const many = await startPenstock(scope, { ...at, services: MANY });
  const [manyRounds = [], fewRounds = []] = await runRounds(scope, [many, few], {
    ...options,
    warmUpSeconds: WARM_UP_SECONDS,
    connections: CONNECTIONS,
    headers: [],
    cpus,
    scripts: [MANY, FEW].map((services) => visiting(scope, services)),
  });
  return compareReport("routes", { name: "penstock, 100 000 routes", rounds: manyRounds, bound: null }, [
    { name: "penstock, 10 routes", rounds: fewRounds, bound: BOUND },
  ]);
};
