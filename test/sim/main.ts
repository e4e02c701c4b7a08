/**
 * `npm run sim`: simulations by the thousand. `-- --seeds N` (default 20 000) from `--from M` (default: another place each
 * day), half of them of streams; or `--seed S`, `--stream-seed S` for one, told in full.
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";
import { simulateStreams } from "./streams.ts";

const DAY_MS = 86_400_000;
/** A day's seeds do not meet the next day's. */
const SEEDS_A_DAY = 1_000_000;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    from: { type: "string" },
    seed: { type: "string" },
    "stream-seed": { type: "string" },
  },
});

const streamSeed = values["stream-seed"];
if (values.seed !== undefined) one(simulate, Number(values.seed));
else if (streamSeed !== undefined) one(simulateStreams, Number(streamSeed));
else many(Number(values.seeds ?? 20_000), Number(values.from ?? today()));

function today(): number {
  return Math.floor(Date.now() / DAY_MS) * SEEDS_A_DAY;
}

function one(run: typeof simulate, seed: number): void {
  const outcome = run(seed, { tell: (line) => process.stdout.write(`${line}\n`) });
  process.stdout.write(`${JSON.stringify({ ...outcome, seen: Object.fromEntries(outcome.seen) }, null, 2)}\n`);
  process.exitCode = outcome.violations.length === 0 ? 0 : 1;
}

function many(count: number, from: number): void {
  let failed = 0;
  for (let seed = from; seed < from + count; seed++) {
    const streams = seed % 2 === 1;
    const { violations, weather } = (streams ? simulateStreams : simulate)(seed);
    if (violations.length > 0) {
      failed++;
      process.stdout.write(
        `--${streams ? "stream-" : ""}seed ${seed} (${weather}): ${violations.slice(0, 3).join("; ")}\n`,
      );
    }
    if ((seed - from + 1) % 1000 === 0) process.stderr.write(`${seed - from + 1} of ${count}, ${failed} failed\n`);
  }
  process.stdout.write(`${count - failed} of ${count} seeds passed, from ${from}\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}
