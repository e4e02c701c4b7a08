/**
 * `npm test` after the set-up: type check, lint, format, unused code, and the tests; every check counts as one test. The
 * last line sums up and stands alone. Arguments are passed on to vitest, to run less; then the checks are left out.
 *
 * The tests that own parts of the machine go one after the other and are shown as they come; beside them run the checks and
 * all other tests (vitest.config.ts), whose output is shown when they are through. In the end nothing may be left behind.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { thisInstallation } from "#main/confine/installation.ts";
import { MachineWatch } from "./leftovers.ts";

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
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface Ended {
  /** Null: ended by a signal, or never begun. */
  readonly status: number | null;
  /** Empty when it was shown as it came. */
  readonly output: string;
}

const CHECKS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["types", "tsc", "--noEmit"],
  ["lint", "oxlint"],
  ["format", "oxfmt", "--check"],
  ["unused", "knip"],
];

const only = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
/** Said once more at the end, where they are looked for. */
const failures: string[] = [];

const watch = new MachineWatch(thisInstallation().root);
if (only.length === 0) await Promise.all([runTests(["--project=machine"], true), runAside()]);
else await runTests(only, true);
await checkLeftovers();
for (const failure of failures) process.stdout.write(`failed: ${failure}\n`);
const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed${skipped}\n`);
process.exitCode = tally.failed === 0 ? 0 : 1;

async function runAside(): Promise<void> {
  for (const [name, command, ...args] of CHECKS) await check(name, command, args);
  await runTests(["--project=aside"], false);
}

async function checkLeftovers(): Promise<void> {
  const left = await watch.left();
  for (const name of left) fail(`left behind: ${name}`, "");
  if (left.length === 0) tally.passed++;
  process.stdout.write(`check leftovers: ${left.length === 0 ? "ok" : "FAILED"}\n`);
  watch.removeFolder();
}

/** Its output is shown when it fails. */
async function check(name: string, command: string, args: readonly string[]): Promise<void> {
  const { status, output } = await run(command, args, false);
  if (status === 0) tally.passed++;
  else fail(`check ${name}`, "");
  process.stdout.write(status === 0 ? `check ${name}: ok\n` : `${output}check ${name}: FAILED\n`);
}

async function runTests(more: readonly string[], shown: boolean): Promise<void> {
  const folder = mkdtempSync(join(watch.folder, "report-"));
  const file = join(folder, "report.json");
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...more];
  const { status, output } = await run("vitest", args, shown);
  process.stdout.write(output);
  const before = tally.failed;
  try {
    count(JSON.parse(readFileSync(file, "utf8")) as Report);
  } catch (error) {
    fail("vitest", `it left no report: ${(error as Error).message}`);
  }
  rmSync(folder, { recursive: true, force: true });
  // An error outside of every test, a leaked handle for one, is a failure too.
  if (status !== 0 && tally.failed === before) fail("vitest", `it ended with ${status}, and no test had failed`);
}

/** `message`: its first lines are enough to know which failure it is. */
function fail(name: string, message: string): void {
  tally.failed++;
  failures.push([name, ...message.split("\n").slice(0, 3)].map((line) => line.slice(0, 400)).join("\n    "));
}

function run(command: string, args: readonly string[], shown: boolean): Promise<Ended> {
  return new Promise((resolve) => {
    // What runs aside yields: those that own the machine also wait for their own processes, and have time limits.
    const [program = command, ...rest] = shown ? [command, ...args] : ["nice", "-n", "10", command, ...args];
    const child = spawn(program, rest, {
      stdio: shown ? "inherit" : ["ignore", "pipe", "pipe"],
      env: { ...process.env, TMPDIR: watch.folder },
    });
    const chunks: Buffer[] = [];
    child.stdout?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr?.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("error", (error) => resolve({ status: null, output: `${error.message}\n` }));
    child.once("close", (status) => resolve({ status, output: Buffer.concat(chunks).toString() }));
  });
}

function count({ testResults }: Report): void {
  for (const { name, status, message, assertionResults } of testResults) {
    for (const { status: outcome, fullName, failureMessages } of assertionResults) {
      if (outcome === "passed") tally.passed++;
      else if (outcome === "failed") fail(`${name}: ${fullName}`, failureMessages.join("\n"));
      else {
        tally.skipped++;
        process.stdout.write(`skipped: ${fullName}\n`);
      }
    }
    // A file that could not even be loaded has no tests to fail.
    if (status === "failed" && assertionResults.every((one) => one.status !== "failed")) {
      fail(name, message);
    }
  }
}
