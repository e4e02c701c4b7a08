/** Rounds of several sides, ours first, as figures and as text. */
import type { Report } from "./bench.ts";
import { comparison, type Figure } from "./figures.ts";
import { type Measured, medians } from "./rounds.ts";
import { textTable } from "./text-table.ts";

/** A side's rounds, and for a peer the bound on our CPU per request against its. */
export interface SideRounds {
  readonly name: string;
  readonly rounds: readonly Measured[];
  readonly bound: number | null;
}

const HEADER = [
  "",
  "CPU µs/request",
  "user",
  "system",
  "rounds from – to",
  "requests/s",
  "p50 ms",
  "p99 ms",
  "core busy",
];
/** Below this the proxy waited for load or upstream, and requests per second say nothing about it. */
const BUSY_MIN = 0.9;
/** Above this the machine had other work, and the figures are worth less. */
const OTHERS_MAX = 0.05;

const FIGURES: readonly (readonly [string, keyof Measured])[] = [
  ["cpu_us_per_request", "cpuUs"],
  ["cpu_user_us_per_request", "userUs"],
  ["cpu_system_us_per_request", "systemUs"],
  ["requests_per_second", "perSecond"],
  ["p50_us", "p50Us"],
  ["p99_us", "p99Us"],
  ["proxy_core_busy", "busy"],
];

function row({ name, rounds }: SideRounds): string[] {
  const { cpuUs, userUs, systemUs, perSecond, p50Us, p99Us, busy } = medians(rounds);
  const each = rounds.map((round) => round.cpuUs);
  const range = `${Math.min(...each).toFixed(1)} – ${Math.max(...each).toFixed(1)}`;
  const milliseconds = [p50Us, p99Us].map((us) => (us / 1000).toFixed(2));
  const cpu = [cpuUs, userUs, systemUs].map((us) => us.toFixed(1));
  return [name, ...cpu, range, perSecond.toFixed(0), ...milliseconds, `${(busy * 100).toFixed(0)} %`];
}

export function compareReport(bench: string, ours: SideRounds, peers: readonly SideRounds[]): Report {
  const mine = medians(ours.rounds);
  const figures = peers.flatMap(({ name, rounds, bound }): Figure[] => {
    const theirs = medians(rounds);
    return FIGURES.map(([figure, key]) =>
      comparison(bench, figure, mine[key], name, theirs[key], key === "cpuUs" ? bound : null),
    );
  });
  const verdicts = figures
    .filter(({ figure, bound }) => figure === "cpu_us_per_request" && bound !== null)
    .map(({ ratio, peer, bound, ok }) => `${ok ? "ok  " : "MISS"}  ${ratio} × ${peer}, bound ${bound}`);
  const idle = [ours, ...peers].filter(({ rounds }) => medians(rounds).busy < BUSY_MIN);
  const notes = idle.map(
    ({ name }) => `note  ${name} did not fill its core: load, upstream or other work held it back`,
  );
  const shared = [ours, ...peers].map(({ rounds }) => medians(rounds).others);
  if (Math.max(...shared) > OTHERS_MAX) {
    const most = (Math.max(...shared) * 100).toFixed(0);
    notes.push(`note  others used up to ${most} % of the proxy's core: repeat on a quiet machine`);
  }
  const text = [textTable(HEADER, [ours, ...peers].map(row)), ...verdicts, ...notes].join("\n");
  return { figures, text };
}
