/**
 * Several sides under the same load, in turn: all are up the whole time, one works. Rounds are interleaved, and each
 * begins with another side, so that what the machine does meanwhile falls on all of them.
 */
import { coreTicks, cpuTicks, processTree, TICKS_PER_SECOND } from "./host/process-tree.ts";
import type { Cpus } from "./host/cpus.ts";
import type { Scope } from "./host/scope.ts";
import { applyLoad, type Load } from "./host/wrk.ts";
import { median } from "./figures.ts";
import type { Side } from "./sides/side.ts";

/** One side in one round; or the medians over its rounds. CPU is that of the proxy's whole process tree. */
export interface Measured {
  readonly cpuUs: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Share of the proxy's core that was used; well below 1, load or upstream were the bottleneck. */
  readonly busy: number;
  /** Share of the proxy's core that went to processes of others: they spoil caches and latencies. */
  readonly others: number;
}

export interface RoundOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly connections: number;
  readonly headers: readonly string[];
  readonly cpus: Cpus;
  readonly progress: (text: string) => void;
  /** Of wrk, for each side; absent: all requests go to `/`. */
  readonly scripts?: readonly string[];
}

async function measure(scope: Scope, side: Side, load: Load, cpu: number): Promise<Measured> {
  const pids = processTree(side.child.pid);
  const coreBefore = coreTicks(cpu);
  const before = cpuTicks(pids);
  const { requests, seconds, p50Us, p99Us } = await applyLoad(scope, load);
  const after = cpuTicks(pids);
  const core = (coreTicks(cpu) - coreBefore) / TICKS_PER_SECOND / seconds;
  const us = 1e6 / TICKS_PER_SECOND;
  const userUs = ((after.user - before.user) * us) / requests;
  const systemUs = ((after.system - before.system) * us) / requests;
  const cpuUs = userUs + systemUs;
  const busy = (cpuUs * requests) / (seconds * 1e6);
  return {
    cpuUs,
    userUs,
    systemUs,
    perSecond: requests / seconds,
    p50Us,
    p99Us,
    busy,
    others: Math.max(0, core - busy),
  };
}

/** By side, by round. */
export async function runRounds(
  scope: Scope,
  sides: readonly Side[],
  options: RoundOptions,
): Promise<readonly (readonly Measured[])[]> {
  const { rounds, connections, headers, cpus, progress } = options;
  const loadOf = (side: Side, seconds: number): Load => ({
    url: `${side.origin}/`,
    connections,
    seconds,
    headers,
    cpu: cpus.load,
    script: options.scripts?.[sides.indexOf(side)],
  });
  for (const side of sides) {
    progress(`warming up ${side.name}`);
    await applyLoad(scope, loadOf(side, options.warmUpSeconds));
  }
  const results = sides.map((): Measured[] => []);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < sides.length; turn++) {
      const index = (round + turn) % sides.length;
      const side = sides[index] as Side;
      progress(`round ${round + 1} of ${rounds}: ${side.name}`);
      results[index]?.push(await measure(scope, side, loadOf(side, options.seconds), cpus.proxy));
    }
  }
  return results;
}

/** Each figure's median over the rounds. */
export function medians(rounds: readonly Measured[]): Measured {
  const of = (figure: keyof Measured): number => median(rounds.map((round) => round[figure]));
  return {
    cpuUs: of("cpuUs"),
    userUs: of("userUs"),
    systemUs: of("systemUs"),
    perSecond: of("perSecond"),
    p50Us: of("p50Us"),
    p99Us: of("p99Us"),
    busy: of("busy"),
    others: of("others"),
  };
}
