/**
 * `npm test` after the set-up: type check, lint, format, unused code, then the tests; every check counts as one test. The
 * last line sums up and stands alone. Arguments are passed on to vitest, to run less; then the checks are left out.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** The part of vitest's JSON report that is used here (the form is jest's). */
interface Report {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const CHECKS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["types", "tsc", "--noEmit"],
  ["lint", "oxlint"],
  ["format", "oxfmt", "--check"],
  ["unused", "knip"],
];

const only = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };

if (only.length === 0) for (const [name, command, ...args] of CHECKS) check(name, command, args);
runTests(only);
const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed${skipped}\n`);
process.exitCode = tally.failed === 0 ? 0 : 1;

/** Its output is shown when it fails. */
function check(name: string, command: string, args: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  if (status === 0) {
    tally.passed++;
    process.stdout.write(`check ${name}: ok\n`);
    return;
  }
  tally.failed++;
  process.stdout.write(
    `${stdout ?? ""}${stderr ?? ""}${error === undefined ? "" : `${error.message}\n`}check ${name}: FAILED\n`,
  );
}

function runTests(filters: readonly string[]): void {
  const folder = mkdtempSync(join(tmpdir(), "penstock-tests-"));
  const file = join(folder, "report.json");
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...filters];
  const { status } = spawnSync("vitest", args, { stdio: "inherit" });
  const before = tally.failed;
  try {
    count(JSON.parse(readFileSync(file, "utf8")) as Report);
  } catch (error) {
    tally.failed++;
    process.stdout.write(`vitest left no report: ${(error as Error).message}\n`);
  }
  rmSync(folder, { recursive: true, force: true });
  // An error outside of every test, a leaked handle for one, is a failure too.
  if (status !== 0 && tally.failed === before) tally.failed++;
}

function count({ testResults }: Report): void {
  for (const { name, status, message, assertionResults } of testResults) {
    for (const { status: outcome, fullName } of assertionResults) {
      if (outcome === "passed") tally.passed++;
      else if (outcome === "failed") tally.failed++;
      else {
        tally.skipped++;
        process.stdout.write(`skipped: ${fullName}\n`);
      }
    }
    // A file that could not even be loaded has no tests to fail.
    if (status === "failed" && assertionResults.every((one) => one.status !== "failed")) {
      tally.failed++;
      process.stdout.write(`${name}: ${message}\n`);
    }
  }
}
