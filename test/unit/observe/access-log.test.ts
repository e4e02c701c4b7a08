/** The access log over a real pipe: every line arrives, also those that come while a write is under way or nobody reads. */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AccessEntry } from "#observe/access-entry.ts";
import { AccessLog } from "#observe/access-log.ts";

const ENTRY: AccessEntry = {
  timeMs: 0,
  client: "192.0.2.1",
  method: "GET",
  host: "a.example",
  target: "/",
  status: 200,
  requestBytes: 0,
  responseBytes: 0,
  durationMs: 1,
  route: "all",
  upstream: "",
  outcome: "ok",
  requestId: "",
};

let directory = "";
let reader = -1;
let writer = -1;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "access-log-"));
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
});

afterEach(() => {
  closeSync(reader);
  closeSync(writer);
  rmSync(directory, { recursive: true });
});

/** What stands in the pipe; empty when nothing does. */
function readPipe(): string {
  const bytes = Buffer.alloc(1 << 20);
  try {
    return bytes.toString("latin1", 0, readSync(reader, bytes));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return "";
    throw error;
  }
}

async function readLines(count: number): Promise<string[]> {
  let all = "";
  for (let i = 0; i < 200 && all.split("\n").length <= count; i++) {
    all += readPipe();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return all.split("\n").slice(0, -1);
}

describe("access log", () => {
  it("asks to be flushed again for lines that came while a write was under way", async () => {
    let asked = 0;
    const log = new AccessLog(writer, () => asked++);
    log.configure({ format: "text" });
    log.add({ ...ENTRY, target: "/first" });
    log.flush();
    log.add({ ...ENTRY, target: "/second" });
    // Comes to nothing: the first write is under way.
    log.flush();
    expect(asked).toBe(2);
    const first = await readLines(1);
    for (let i = 0; i < 100 && asked < 3; i++) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(asked).toBe(3);
    log.flush();
    const lines = [...first, ...(await readLines(1))];
    expect(lines.map((line) => /(\/\w+)/.exec(line)?.[1])).toEqual(["/first", "/second"]);
  });

  it("waits for a reader that is slow without spinning, and loses nothing that it took", async () => {
    const log = new AccessLog(writer, () => setTimeout(() => log.flush(), 1));
    log.configure({ format: "json" });
    const target = `/${"t".repeat(4000)}`;
    for (let i = 0; i < 40; i++) log.add({ ...ENTRY, status: i, target });
    log.flush();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 400));
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1000).toBeLessThan(200);
    const lines = await readLines(40);
    expect(lines.map((line) => (JSON.parse(line) as { status: number }).status)).toEqual(
      Array.from({ length: 40 }, (_, i) => i),
    );
    expect(log.dropped).toBe(0);
  });
});

describe("lines", () => {
  async function logged(form: Parameters<AccessLog["configure"]>[0], entries: readonly Partial<AccessEntry>[]) {
    const log = new AccessLog(writer, () => {});
    log.configure(form);
    for (const entry of entries) log.add({ ...ENTRY, ...entry });
    log.flush();
    const buffer = Buffer.alloc(64 * 1024);
    let bytes = 0;
    await expect.poll(() => (bytes = readSync(reader, buffer, 0, buffer.length, null))).toBeGreaterThan(0);
    return buffer.toString("utf8", 0, bytes).split("\n").slice(0, -1);
  }

  it("have the operator's form, and no value ends one", async () => {
    const template = '{client} "{method} {target}" {status} {upstream} {durationMs}ms {}';
    const target = '/a"b\n{status}';
    expect(await logged({ format: "template", template }, [{ target }])).toEqual([
      '192.0.2.1 "GET /a\\"b\\n{status}" 200 - 1.000ms {}',
    ]);
  });

  it("are a share of what went well, evenly, and all of what did not", async () => {
    const well = Array.from({ length: 100 }, () => ({}));
    const lines = await logged({ format: "text", percent: 10 }, [
      ...well,
      { status: 503 },
      { status: 0, outcome: "client-gone" },
      { status: 0, outcome: "tunnel" },
    ]);
    const ok = lines.filter((line) => line.endsWith("ok"));
    expect(ok.filter((line) => line.includes(" 503 "))).toHaveLength(1);
    // A tunnel is among what went well. Ten of all, to the rounding of a tenth.
    const tunnels = lines.filter((line) => line.endsWith("tunnel"));
    expect([9, 10]).toContain(ok.length - 1 + tunnels.length);
    expect(lines.filter((line) => line.endsWith("client-gone"))).toHaveLength(1);
  });
});
