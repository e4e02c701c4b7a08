/** `tee` into real files. */
import { constants, mkdtempSync, openSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { pipeline } from "#pipeline/layout/layout.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import { loadProgram, Program } from "#pipeline/program.ts";
import { rig } from "#test/support/pipeline-rig.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-tee-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT;

/** A program with a tee, and what it says. */
async function teeing(path: string): Promise<{ program: Program; layout: Pipeline; log: string[] }> {
  const log: string[] = [];
  const program = new Program({ base: `file://${folder}/script.ts`, log: (line) => void log.push(line) });
  let layout: Pipeline = { makers: [], onStart: null, onEnd: null };
  await loadProgram(program, async () => {
    layout = pipeline(($) => $.tee(path));
  });
  return { program, layout, log };
}

function open(program: Program, path: string): void {
  for (const output of program.outputs.values()) output.open(openSync(path, APPEND));
}

function isOpen(path: string): boolean {
  return readdirSync("/proc/self/fd").some((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      return false;
    }
  });
}

test("what passes is in the file, in order, also what passed before it was open; the stream is as it was", async () => {
  const { program, layout, log } = await teeing("./copy");
  expect([...program.outputs.keys()]).toEqual([`file://${folder}/copy`]);
  const one = rig(layout);
  one.start({ a: 1 });
  one.data("before ");
  const path = join(folder, "copy");
  open(program, path);
  expect(isOpen(path)).toBe(true);
  for (let i = 0; i < 100; i++) one.data(`${i} `);
  one.end();
  one.close();
  const text = `before ${Array.from({ length: 100 }, (_, i) => `${i} `).join("")}`;
  expect(one.out.text).toBe(`<{"a":1}>\n${text}\n</>\nEND`);
  one.check();
  program.closeOutputs();
  await expect.poll(() => readFileSync(path, "utf8")).toBe(text);
  // Closed by its last user.
  await expect.poll(() => isOpen(path)).toBe(false);
  expect(log).toEqual([]);
});

test("a slow disk stops the source; once it has taken what there is, the source goes on", async () => {
  const { program, layout } = await teeing("./slow");
  const one = rig(layout);
  const piece = "x".repeat(64 * 1024);
  let pieces = 0;
  for (; !one.source.isPaused && pieces < 100; pieces++) one.data(piece);
  expect(pieces).toBeLessThan(20);
  const path = join(folder, "slow");
  open(program, path);
  await expect.poll(() => one.source.isPaused).toBe(false);
  expect(readFileSync(path).length).toBe(pieces * piece.length);
  one.check();
  program.closeOutputs();
});

test("a full disk is told once, and holds up nobody", async () => {
  const { program, layout, log } = await teeing("./full");
  const one = rig(layout);
  open(program, "/dev/full");
  one.data("a");
  await expect
    .poll(() => log)
    .toEqual(["tee ./full: ENOSPC: no space left on device, write: 1 bytes and more are lost"]);
  one.data("b");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([log.length, one.out.text, one.source.isPaused]).toEqual([1, "ab", false]);
  one.check();
  program.closeOutputs();
});
