/**
 * What 10 000 idle keep-alive connections hold, each having had one answer; and what the gateway does meanwhile, which
 * is nothing.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "#test/bench/bench.ts";
import { absolute } from "#test/bench/figures.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { IdleConnections } from "#test/bench/host/idle-connections.ts";
import { cpuTicks, processTree, residentBytes } from "#test/bench/host/process-tree.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { startPenstock, workerOf } from "#test/bench/sides/penstock.ts";
import { Unavailable } from "#test/bench/unavailable.ts";
import { textTable } from "#test/bench/text-table.ts";

const CONNECTIONS = 10_000;
/** Opened and closed first, so that code, pools and buffers are there before the baseline is read. */
const WARM_UP = 64;
/** Descriptors this process and the gateway need beside the connections. */
const DESCRIPTORS_SPARE = 500;
const BYTES_MAX = 2048;
/** Long enough for the collector's own clean-up, which V8 starts some seconds after the last allocation. */
const SETTLE_MS = 10_000;
const IDLE_MS = 5000;
const TICKS_MAX = 0;

/** The gateway raises its soft limit to the hard one, and Node does so for this process. */
function requireDescriptors(): void {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (hard !== "unlimited" && Number(hard) < CONNECTIONS + DESCRIPTORS_SPARE) {
    throw new Unavailable(`it opens ${CONNECTIONS} connections, and the hard limit of open files is ${hard}`);
  }
}

/** What each set of processes uses while nothing happens. */
async function idleTicks(sets: readonly (readonly number[])[]): Promise<number[]> {
  const used = (): number[] => sets.map(cpuTicks).map(({ user, system }) => user + system);
  const before = used();
  await sleep(IDLE_MS);
  return used().map((ticks, i) => ticks - (before[i] ?? 0));
}

export const idle: Bench = async (scope, { progress }) => {
  requireDescriptors();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const side = await startPenstock(scope, { upstream: address, cpu: cpus.proxy, token: null });
  const port = Number(new URL(side.origin).port);
  const worker = workerOf(side);
  const connections = new IdleConnections();
  try {
    progress("warming up");
    await connections.open(port, WARM_UP);
    connections.close();
    await sleep(SETTLE_MS);
    const before = residentBytes(worker);
    progress(`opening ${CONNECTIONS} connections`);
    await connections.open(port, CONNECTIONS);
    await sleep(SETTLE_MS);
    const after = residentBytes(worker);
    progress("idle");
    const ticks = await idleTicks([[worker], processTree(side.child.pid)]);
    if (connections.alive < CONNECTIONS) throw new Error(`only ${connections.alive} connections stayed open`);
    const bytes = (after - before) / CONNECTIONS;
    const [workerTicks = 0, allTicks = 0] = ticks;
    const figures = [
      absolute("idle", "rss_bytes_per_connection", bytes, BYTES_MAX),
      absolute("idle", `worker_cpu_ticks_in_${IDLE_MS / 1000}_s`, workerTicks, TICKS_MAX),
      absolute("idle", `gateway_cpu_ticks_in_${IDLE_MS / 1000}_s`, allTicks, null),
    ];
    const rows = figures.map(({ figure, ours, bound, ok }) => [
      figure,
      `${ours}`,
      bound === null ? "" : `${bound}`,
      ok ? (bound === null ? "" : "ok") : "MISS",
    ]);
    const megabytes = [before, after].map((size) => (size / 2 ** 20).toFixed(1));
    const text = `${textTable(["", "ours", "bound", ""], rows)}\nworker ${megabytes.join(" → ")} MiB`;
    return { figures, text };
  } finally {
    connections.close();
  }
};
