/**
 * sdk/TUTORIAL.md as a newcomer would follow it: files are written, commands run, and what they print is compared. `penstock run` goes on in the
 * background, as in a terminal of its own.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeReference } from "#sdk/tooling/reference.ts";
import { freePort } from "#test/support/ports.ts";

const ROOT = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 900_000;

interface Block {
  readonly kind: string;
  /** The file that it is; empty: commands. */
  readonly file: string;
  readonly text: string;
}

let folder: string;
let background: ChildProcess | null = null;
const environment: Record<string, string | undefined> = { ...process.env, PENSTOCK_PINS: "off" };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "penstock-tutorial-"));
  mkdirSync(join(folder, "bin"));
  symlinkSync(join(ROOT, "gateway/main/penstock.sh"), join(folder, "bin/penstock"));
  environment["PATH"] = `${join(folder, "bin")}:${process.env["PATH"]}`;
});
afterAll(async () => {
  if (background !== null && background.exitCode === null) {
    background.kill("SIGTERM");
    await once(background, "exit");
  }
  rmSync(folder, { recursive: true });
});

function blocksOf(text: string): Block[] {
  return [...text.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(([, kind = "", file = "", body = ""]) => ({
    kind,
    file,
    text: body,
  }));
}

/** Each command with the lines that it should print. */
function commandsOf({ text }: Block): { command: string; expected: string }[] {
  const found: { command: string; lines: string[] }[] = [];
  for (const line of text.trimEnd().split("\n")) {
    if (line.startsWith("$ ")) found.push({ command: line.slice(2), lines: [] });
    else found.at(-1)?.lines.push(line);
  }
  return found.map(({ command, lines }) => ({ command, expected: lines.join("\n") }));
}

function pattern(expected: string): RegExp {
  const escaped = expected.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${escaped.join("[\\s\\S]*")}$`);
}

async function start(command: string, port: number): Promise<void> {
  const [, ...args] = command.split(" ");
  const child = spawn(join(folder, "bin/penstock"), args, { cwd: folder, env: environment, stdio: "ignore" });
  background = child;
  const until = Date.now() + 120_000;
  for (;;) {
    const socket = net.connect(port, "127.0.0.1");
    const open = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    expect(child.exitCode, "the gateway goes on").toBeNull();
    expect(Date.now(), "the gateway is there in time").toBeLessThan(until);
    await sleep(50);
  }
}

it(
  "does what it says",
  async () => {
    const port = await freePort();
    const tutorial = readFileSync(join(ROOT, "sdk/TUTORIAL.md"), "utf8").replaceAll("8080", String(port));
    for (const block of blocksOf(tutorial)) {
      if (block.kind !== "console") {
        mkdirSync(dirname(join(folder, block.file)), { recursive: true });
        writeFileSync(join(folder, block.file), block.text);
        continue;
      }
      for (const { command, expected } of commandsOf(block)) {
        if (command.startsWith("penstock run")) {
          await start(command, port);
          continue;
        }
        const [, name, value] = /^export (\w+)=(.*)$/.exec(command) ?? [];
        if (name !== undefined) {
          environment[name] = value?.replace("$PWD", folder);
          continue;
        }
        const { stdout, stderr, status } = spawnSync("sh", ["-c", command], {
          cwd: folder,
          env: environment,
          encoding: "utf8",
        });
        expect(stdout.trimEnd(), `${command}\n${stderr}`).toMatch(pattern(expected));
        expect(status, `${command}\n${stderr}`).toBe(0);
      }
    }
  },
  TIMEOUT_MS,
);

it("the reference is what its sources say", async () => {
  expect(readFileSync(join(ROOT, "sdk/REFERENCE.md"), "utf8")).toBe(await makeReference());
});
