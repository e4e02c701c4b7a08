/**
 * Latency at a fixed rate: half of what the slower of the two does at its peak, the same for both. Requests are due at fixed
 * times, so a pause counts with all that it held up.
 */
import type { Bench } from "#test/bench/bench.ts";
import { comparison, median } from "#test/bench/figures.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import { openLoop, type FixedRateResult } from "#test/bench/host/open-loop.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { applyLoad, requireWrk } from "#test/bench/host/wrk.ts";
import { startNginx } from "#test/bench/sides/nginx.ts";
import { startPenstock } from "#test/bench/sides/penstock.ts";
import { textTable } from "#test/bench/text-table.ts";

const CONNECTIONS = 64;
const PEAK_SECONDS = 3;
const FIGURES = [
  ["p50_us", "p50Us"],
  ["p99_us", "p99Us"],
  ["p999_us", "p999Us"],
] as const;

export const rate: Bench = async (scope, { rounds, seconds, progress }) => {
  requireWrk();
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream);
  const at = { upstream: address, cpu: cpus.proxy, token: null };
  const ours = await startPenstock(scope, at);
  const nginx = await startNginx(scope, at);
  const apply = openLoop(scope);
  const sides = [ours, nginx];
  const peaks: number[] = [];
  for (const side of sides) {
    progress(`peak of ${side.name}`);
    const load = { url: `${side.origin}/`, connections: CONNECTIONS, headers: [], cpu: cpus.load };
    await applyLoad(scope, { ...load, seconds: 1 });
    const measured = await applyLoad(scope, { ...load, seconds: PEAK_SECONDS });
    peaks.push(measured.requests / measured.seconds);
  }
  const perSecond = Math.round(Math.min(...peaks) / 2);
  const results = sides.map((): FixedRateResult[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const index = (round + turn) % sides.length;
      const side = sides[index];
      if (side === undefined) continue;
      progress(`round ${round + 1} of ${rounds}: ${side.name} at ${perSecond}/s`);
      const port = Number(new URL(side.origin).port);
      const result = await apply({ port, connections: CONNECTIONS, perSecond, seconds, paths: 0, cpu: cpus.load });
      if (result.answered !== result.sent) throw new Error(`${side.name}: ${JSON.stringify(result)}`);
      results[index]?.push(result);
    }
  }
  const [mine = [], theirs = []] = results;
  const middle = (all: readonly FixedRateResult[], key: (typeof FIGURES)[number][1]): number =>
    median(all.map((one) => one[key]));
  const figures = FIGURES.map(([figure, key]) =>
    comparison("rate", figure, middle(mine, key), nginx.name, middle(theirs, key), null),
  );
  const rows = sides.map(({ name }, i) => [
    name,
    (peaks[i] ?? 0).toFixed(0),
    ...FIGURES.map(([, key]) => (middle(results[i] ?? [], key) / 1000).toFixed(2)),
    (Math.max(...(results[i] ?? []).map((one) => one.maxUs)) / 1000).toFixed(1),
  ]);
  const header = ["", "peak requests/s", "p50 ms", "p99 ms", "p99.9 ms", "longest ms"];
  return { figures, text: `at ${perSecond} requests/s\n${textTable(header, rows)}` };
};
