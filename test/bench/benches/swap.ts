/**
 * A change of one route among 10 000, again and again, under a fixed rate of requests: what clients notice of it, and what it
 * costs a worker. The control plane works on the load's core, as it would on one that the workers leave free, and yields there:
 * load and upstream stand for other machines, and what they wait for each other is not the gateway's.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { constants, setPriority } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "#test/bench/bench.ts";
import { absolute, comparison, median } from "#test/bench/figures.ts";
import { RouteChanges } from "#test/bench/host/admin.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { openLoop, type FixedRateResult } from "#test/bench/host/open-loop.ts";
import { processTree } from "#test/bench/host/process-tree.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { startPenstock, workerOf } from "#test/bench/sides/penstock.ts";
import { textTable } from "#test/bench/text-table.ts";

const SERVICES = 10_000;
const CONNECTIONS = 32;
/** About a fifth of a core: nobody waits in a queue but for a swap. */
const PER_SECOND = 5000;
const SWAP_MS_MAX = 50;
const SWAPS_ALONE = 5;
/** Swaps follow each other with a pause, as changes by people and programs do. */
const PAUSE_MS = 500;
/** "Unmoved", with what a shared machine adds. */
const P99_RATIO_MAX = 1.25;

/** CPU time of all threads of a process, by the scheduler's own account (schedstat: nanoseconds, …). */
function cpuMs(pid: number): number {
  let ns = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, "utf8").split(" ", 1)[0]);
  }
  return ns / 1e6;
}

/** To a core where it yields to whoever else is there. */
function moveBehind(pid: number, cpu: number): void {
  execFileSync("taskset", ["-a", "-p", "-c", String(cpu), String(pid)], { stdio: "ignore" });
  for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), constants.priority.PRIORITY_LOW);
}

/** Until `over` holds; answers how many there were. */
async function until(over: () => boolean, changes: RouteChanges): Promise<number> {
  const before = changes.count;
  while (!over()) {
    await changes.next();
    await sleep(PAUSE_MS);
  }
  return changes.count - before;
}

export const swap: Bench = async (scope, { rounds, seconds, progress }) => {
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  progress(`declaring ${SERVICES} routes`);
  const side = await startPenstock(scope, { upstream: address, cpu: cpus.proxy, token: null, services: SERVICES });
  const worker = workerOf(side);
  for (const pid of processTree(side.child.pid)) if (pid !== worker) moveBehind(pid, cpus.load);
  const changes = new RouteChanges(side.admin, "bench/service-1");
  await changes.next();
  const before = cpuMs(worker);
  for (let i = 0; i < SWAPS_ALONE; i++) await changes.next();
  const cost = (cpuMs(worker) - before) / SWAPS_ALONE;

  const apply = openLoop(scope);
  const port = Number(new URL(side.origin).port);
  const load = { port, connections: CONNECTIONS, perSecond: PER_SECOND, seconds, paths: SERVICES, cpu: cpus.load };
  await apply({ ...load, seconds: 2 });
  const still: FixedRateResult[] = [];
  const moved: FixedRateResult[] = [];
  let count = 0;
  for (let round = 0; round < rounds; round++) {
    progress(`round ${round + 1} of ${rounds}: without swaps`);
    still.push(await apply(load));
    progress(`round ${round + 1} of ${rounds}: with swaps`);
    let over = false;
    const swapping = until(() => over, changes);
    moved.push(await apply(load).finally(() => (over = true)));
    count += await swapping;
  }
  const middle = (all: readonly FixedRateResult[], key: "p50Us" | "p99Us" | "maxUs"): number =>
    median(all.map((one) => one[key]));
  const lost = moved.reduce((sum, one) => sum + one.lost + one.otherwise, 0);
  const figures = [
    absolute("swap", "longest_wait_ms", middle(moved, "maxUs") / 1000, SWAP_MS_MAX),
    absolute("swap", "requests_lost", lost, 0),
    comparison("swap", "p99_us", middle(moved, "p99Us"), "without swaps", middle(still, "p99Us"), P99_RATIO_MAX),
    absolute("swap", "worker_cpu_ms_per_swap", cost, null),
  ];
  const row = (name: string, all: readonly FixedRateResult[]): string[] => [
    name,
    ...(["p50Us", "p99Us", "maxUs"] as const).map((key) => (middle(all, key) / 1000).toFixed(2)),
    String(all.reduce((sum, one) => sum + one.lost + one.otherwise, 0)),
  ];
  const table = textTable(
    ["", "p50 ms", "p99 ms", "longest ms", "lost"],
    [row("without swaps", still), row(`${count} swaps`, moved)],
  );
  const verdicts = figures.map(({ figure, ours, bound, ok }) =>
    bound === null ? `      ${figure} ${ours}` : `${ok ? "ok  " : "MISS"}  ${figure} ${ours}, bound ${bound}`,
  );
  return { figures, text: [`at ${PER_SECOND} requests/s, ${SERVICES} routes`, table, ...verdicts].join("\n") };
};
