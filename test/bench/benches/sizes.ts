/** The same comparison for several sizes of answers, as one report. */
import type { Bench, BenchOptions, Report } from "#test/bench/bench.ts";
import { compareReport } from "#test/bench/compare-report.ts";
import { assignCpus } from "#test/bench/host/cpus.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { startUpstream } from "#test/bench/host/upstream.ts";
import { requireWrk } from "#test/bench/host/wrk.ts";
import { runRounds } from "#test/bench/rounds.ts";
import type { Side } from "#test/bench/sides/side.ts";

export interface Size {
  /** In front of its figures: `64k`. */
  readonly label: string;
  readonly bytes: number;
  readonly connections: number;
}

export interface SizesOptions {
  readonly bench: string;
  readonly sizes: readonly Size[];
  /** On our CPU per answer against the first peer's. */
  readonly bound: number;
  readonly start: (
    scope: Scope,
    upstream: string,
    cpu: number,
  ) => Promise<readonly [ours: Side, peer: Side, ...others: Side[]]>;
}

const WARM_UP_SECONDS = 2;

export function sizesBench(sizes: SizesOptions): Bench {
  return async (scope, options) => {
    requireWrk();
    const reports: Report[] = [];
    for (const size of sizes.sizes) reports.push(await compareSize(scope, sizes, size, options));
    return {
      figures: reports.flatMap((report) => report.figures),
      text: reports.map(({ text }, i) => `${sizes.sizes[i]?.label ?? ""}\n${text}`).join("\n\n"),
    };
  };
}

async function compareSize(scope: Scope, sizes: SizesOptions, size: Size, options: BenchOptions): Promise<Report> {
  const cpus = assignCpus();
  const { address } = await startUpstream(scope, cpus.upstream, size.bytes);
  const sides = await sizes.start(scope, address, cpus.proxy);
  const [ours, ...peers] = sides;
  const [oursRounds = [], ...peersRounds] = await runRounds(scope, sides, {
    ...options,
    warmUpSeconds: WARM_UP_SECONDS,
    connections: size.connections,
    headers: [],
    cpus,
  });
  const report = compareReport(
    sizes.bench,
    { name: ours.name, rounds: oursRounds, bound: null },
    // The bound is on the first of the peers.
    peers.map(({ name }, i) => ({ name, rounds: peersRounds[i] ?? [], bound: i === 0 ? sizes.bound : null })),
  );
  // What has been measured makes room for the next size.
  for (const { child } of sides) await child.stop();
  return { ...report, figures: report.figures.map((one) => ({ ...one, figure: `${size.label}_${one.figure}` })) };
}
