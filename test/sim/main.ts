/**
 * `npm run sim`: simulations by the thousand. `-- --seeds N` (default 20 000) from `--from M` (default: another place each
 * day), or `--seed S` for one, told in full.
 */
import { parseArgs } from "node:util";
import { simulate } from "./simulation.ts";

const DAY_MS = 86_400_000;
/** A day's seeds do not meet the next day's. */
const SEEDS_A_DAY = 1_000_000;

const { values } = parseArgs({
  options: { seeds: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
});

if (values.seed === undefined) many(Number(values.seeds ?? 20_000), Number(values.from ?? today()));
else one(Number(values.seed));

function today(): number {
  return Math.floor(Date.now() / DAY_MS) * SEEDS_A_DAY;
}

function one(seed: number): void {
  const outcome = simulate(seed, { tell: (line) => process.stdout.write(`${line}\n`) });
  process.stdout.write(`${JSON.stringify({ ...outcome, seen: Object.fromEntries(outcome.seen) }, null, 2)}\n`);
  process.exitCode = outcome.violations.length === 0 ? 0 : 1;
}

function many(count: number, from: number): void {
  let failed = 0;
  for (let seed = from; seed < from + count; seed++) {
    const { violations, weather } = simulate(seed);
    if (violations.length > 0) {
      failed++;
      process.stdout.write(`seed ${seed} (${weather}): ${violations.slice(0, 3).join("; ")}\n`);
    }
    if ((seed - from + 1) % 1000 === 0) process.stderr.write(`${seed - from + 1} of ${count}, ${failed} failed\n`);
  }
  process.stdout.write(`${count - failed} of ${count} seeds passed, from ${from}\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}
