/**
 * `npm run fuzz -- [FILTER...] [--minutes N] [--factor N]`: all fuzzers (test/fuzz), or those whose path contains a filter,
 * again and again from other beginnings, for so long. Stops at the first that finds something, which vitest shows with its seed.
 */
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

const USAGE = "npm run fuzz -- [FILTER...] [--minutes N] [--factor N]\n";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { minutes: { type: "string", default: "5" }, factor: { type: "string", default: "4" } },
});
const [minutes, factor] = [Number(values.minutes), Number(values.factor)];
if (!(minutes > 0) || !(factor > 0)) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  process.exitCode = fuzz();
}

function fuzz(): number {
  const until = Date.now() + minutes * 60_000;
  const filters = positionals.length > 0 ? positionals : ["test/fuzz"];
  let rounds = 0;
  do {
    const { status } = spawnSync("vitest", ["run", "--project=aside", "--testTimeout=600000", ...filters], {
      stdio: "inherit",
      env: { ...process.env, PENSTOCK_FUZZ_FACTOR: String(factor) },
    });
    if (status !== 0) return 1;
    rounds++;
  } while (Date.now() < until);
  process.stdout.write(`${rounds} rounds, ${factor} times what \`npm test\` runs, and nothing found\n`);
  return 0;
}
