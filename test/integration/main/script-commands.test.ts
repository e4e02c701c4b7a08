/** Commands of scripts (`exec`), as the supervisor runs them: only those of the script, so many at a time, each to its end. */
import { readFileSync } from "node:fs";
import { afterEach, expect, test } from "vitest";
import { ScriptCommands } from "#main/script/commands.ts";
import type { WorkerProcess } from "#main/supervisor/worker-process.ts";

/** So many at a time, of all workers. */
const MOST = 256;
const COMMAND = "sleep 1008";

const exited: (string | null)[] = [];
const commands = new ScriptCommands(() => {});
afterEach(() => {
  commands.close();
  exited.length = 0;
});

/** Is handed sockets, and hears how commands end. */
function worker(slot: number): WorkerProcess {
  const tellScript = (message: { readonly type: string; readonly failure?: string | null }): void => {
    if (message.type === "script-exited") exited.push(message.failure ?? null);
  };
  return { slot, hand: () => {}, tellScript } as unknown as WorkerProcess;
}

function run(slot: number, number: number, command = COMMAND): void {
  commands.serve(worker(slot), { op: "exec", command, run: number });
}

/** Of ours: how many sleep. */
function asleep(): number {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "utf8").trim().split(" ");
  return children.filter((pid) => cmdline(pid) === `${COMMAND.replace(" ", "\0")}\0`).length;
}

/** Empty for a process that has ended. */
function cmdline(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

test(`${MOST} run at a time; one that ends makes room, and so does a worker that has died`, async () => {
  commands.allow({ commands: [COMMAND], entry: "file:///nowhere/main.ts" });
  for (let i = 0; i < MOST; i++) run(i % 2, i);
  expect(() => run(0, MOST)).toThrow(`${COMMAND}: ${MOST} commands run already`);
  await expect.poll(asleep, { timeout: 20_000 }).toBe(MOST);
  commands.serve(worker(1), { op: "end", run: 1 });
  run(0, MOST);
  expect(() => run(0, MOST + 1)).toThrow("run already");
  commands.endOf(0);
  await expect.poll(asleep, { timeout: 20_000 }).toBe(MOST / 2 - 1);
  run(0, 0);
  commands.close();
  await expect.poll(asleep, { timeout: 20_000 }).toBe(0);
  // Who was ended is not told of.
  expect(exited).toEqual([]);
});

test("what the script's text has not, nor that of the one before, is not run", async () => {
  for (const [i, command] of ["true", "false", "sleep 1008"].entries()) {
    commands.allow({ commands: [command], entry: "file:///nowhere/main.ts" });
    if (i > 0) run(0, i, ["true", "false"][i - 1]);
  }
  expect(() => run(0, 3, "true")).toThrow('"true" is not written out in the script');
  await expect.poll(() => exited.toSorted()).toEqual(["exit code 1", null]);
});
