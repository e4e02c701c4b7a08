/**
 * Changes through the admin API, from the request to the answer, which comes when every worker runs them: ten thousand
 * routes at once, then one of them, while requests go through; and what the processes hold when nothing happens.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Bench } from "#test/bench/bench.ts";
import { askAdmin, must, RouteChanges, type AdminAnswer } from "#test/bench/host/admin.ts";
import { SteadyLoad, type LoadReport } from "#test/bench/host/steady-load.ts";
import { absolute, median } from "#test/bench/figures.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { processTree, proportionalBytes } from "#test/bench/host/process-tree.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import { textTable } from "#test/bench/text-table.ts";

const ROUTES = 10_000;
const HOSTS = 500;
const ALL_MS_MAX = 2000;
const ONE_MS_MAX = 100;
const CHANGES = 30;
const MEMORY_MIB_MAX = 160;
/** V8 collects what a start has left behind some seconds after the last allocation. */
const SETTLE_MS = 15_000;
const MIB = 2 ** 20;

type Json = Record<string, unknown>;

/** `declaration` with many routes more. */
function withRoutes(declaration: Json): string {
  const routes = Array.from({ length: ROUTES }, (_, i) => ({
    name: `r${i}`,
    tenant: "bench",
    listeners: ["web"],
    match: { hosts: [`h${i % HOSTS}.bench.example`], path: { prefix: `/p${i}` } },
    upstream: "up",
  }));
  const tenants = [{ name: "bench", hosts: ["*"], quotas: { routes: 2 * ROUTES } }];
  return JSON.stringify({ ...declaration, tenants, routes: [...(declaration["routes"] as Json[]), ...routes] });
}

/** The answers to changes of one route each. */
async function changeOne(socket: string, progress: (text: string) => void): Promise<AdminAnswer[]> {
  const changes = new RouteChanges(socket, "bench/r77");
  const answers: AdminAnswer[] = [];
  while (changes.count < CHANGES) {
    progress(`change ${changes.count + 1} of ${CHANGES}`);
    answers.push(await changes.next());
  }
  return answers;
}

async function changed(socket: string, origin: string, progress: (text: string) => void) {
  const before = must(await askAdmin(socket, { method: "GET", path: "/v1/config" }));
  const body = withRoutes(JSON.parse(before.body) as Json);
  const load = new SteadyLoad(origin);
  let report: LoadReport | undefined;
  try {
    progress(`applying ${ROUTES} routes`);
    const all = must(await askAdmin(socket, { method: "PUT", path: "/v1/config", body, ifMatch: before.etag }));
    const one = await changeOne(socket, progress);
    return { allMs: all.ms, oneMs: one.map(({ ms }) => ms), report: (report = await load.stop()) };
  } finally {
    if (report === undefined) await load.stop();
  }
}

export const control: Bench = async (scope, { progress }) => {
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const side = await startPenstock(scope, { upstream: address, cpu: cpus.proxy, token: null });
  progress("settling");
  await sleep(SETTLE_MS);
  const memory = processTree(side.child.pid).reduce((sum, pid) => sum + proportionalBytes(pid), 0) / MIB;
  const { allMs, oneMs, report } = await changed(side.admin, side.origin, progress);
  const { requests, failures, longestMs } = report;
  const figures = [
    absolute("control", `apply_${ROUTES}_routes_ms`, allMs, ALL_MS_MAX),
    absolute("control", "change_one_route_ms", median(oneMs), ONE_MS_MAX),
    absolute("control", "change_one_route_ms_most", Math.max(...oneMs), null),
    absolute("control", "requests_lost", failures.length, 0),
    absolute("control", "request_ms_most", longestMs, null),
    absolute("control", "idle_memory_mib_pss", memory, MEMORY_MIB_MAX),
  ];
  const rows = figures.map(({ figure, ours, bound, ok }) => [
    figure,
    `${ours}`,
    bound === null ? "" : `${bound}`,
    bound === null ? "" : ok ? "ok" : "MISS",
  ]);
  const lost = failures.length === 0 ? "" : `; first failure: ${failures[0]}`;
  const text = `${textTable(["", "ours", "bound", ""], rows)}\n${requests} requests went through meanwhile${lost}`;
  return { figures, text };
};
