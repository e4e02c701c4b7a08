/** `run --script FILE`: in confined workers, reloaded in two phases, under load. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";

const folder = mkdtempSync(join(tmpdir(), "penstock-script-"));
const file = join(folder, "router.ts");
let gateway: Gateway;
let server: Server;

/** The talk's router, which also says which version of it answers. */
function scriptOf(version: string, more = ""): string {
  const { port } = server.address() as AddressInfo;
  return `import { kernel, listen, LoadBalancer, URLRouter } from "penstock"
import { greeting } from "./greeting.ts"

const router = new URLRouter({ "/*": new LoadBalancer(["127.0.0.1:${port}"]) })
interface Memory { target?: string | undefined }
${more}
listen<Memory>("127.0.0.1:0", $ => $
  .demuxHTTP().to($ => $
    .handleMessageStart((msg, ctx) => {
      if (msg.head.path === "/boom") throw new TypeError("boom")
      if (msg.head.path === "/stray") stray()
      ctx.target = router.find(msg.head.headers.host, msg.head.path)?.allocate().target
    })
    .muxHTTP(ctx => ctx.target).to($ => $.connect(ctx => ctx.target))
    .handleMessageStart(msg => {
      msg.head.headers["x-version"] = greeting + "${version}"
      msg.head.headers["x-worker"] = String(process.pid)
    })))

function stray() {
  setTimeout(() => { throw new RangeError("of a timer") })
  void Promise.reject(new RangeError("of nobody"))
  void kernel.remove("route", { destination: "203.0.113.0/24" })
}
`;
}

beforeAll(async () => {
  server = createServer((request, response) => response.end(request.url));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  writeFileSync(join(folder, "greeting.ts"), 'export const greeting: string = "v"\n');
  writeFileSync(file, scriptOf("1"));
  gateway = await startGateway({ workers: 2, args: ["--script", file], timeoutMs: 60_000 });
}, 90_000);

afterAll(async () => {
  await gateway.stop();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

const name = "script 127.0.0.1:0";
const RELOADS = 100;

/** Waits until the gateway has said it `times` times since `from`. */
async function said(text: string, from: number): Promise<string> {
  for (let i = 0; i < 1000; i++) {
    const line = gateway.logs.slice(from).find((one) => one.includes(text));
    if (line !== undefined) return line;
    await sleep(20);
  }
  throw new Error(`never said ${JSON.stringify(text)}: ${gateway.logs.slice(from).join("\n")}`);
}

async function reload(script: string, expected: string): Promise<string> {
  const from = gateway.logs.length;
  writeFileSync(file, script);
  process.kill(gateway.pid, "SIGHUP");
  return said(expected, from);
}

test("it serves, and what it throws is one request's 500 with its place in the log", async () => {
  const answer = await gateway.request(name, "/hello");
  expect([answer.status, answer.body, answer.headers["x-version"]]).toEqual([200, "/hello", "v1"]);
  const from = gateway.logs.length;
  expect((await gateway.request(name, "/boom")).status).toBe(500);
  expect(await said("boom", from)).toContain(`${file}:10:44: TypeError: boom`);
});

test("what it throws where no stream waits for it is logged with its place, and ends nobody", async () => {
  const before = await gateway.workers();
  const from = gateway.logs.length;
  expect((await gateway.request(name, "/stray")).status).toBe(200);
  for (const [words, line] of [
    ["RangeError: of a timer", 21],
    ["RangeError: of nobody", 22],
    ["203.0.113.0", 23],
  ] as const)
    expect(await said(words, from)).toContain(`${file}:${line}:`);
  expect((await gateway.request(name, "/after")).status).toBe(200);
  expect(await gateway.workers()).toEqual(before);
});

test.each([
  ["throws", 'throw new RangeError("no")', `${file}:6:7: RangeError: no`],
  ["can't be parsed", "const = 1", `${file}:6`],
  ["imports what it can't have", 'import "left-pad"', "left-pad"],
  ["listens where it can't", 'listen("203.0.113.1:0", $ => $)', "203.0.113.1"],
])("a new script that %s changes nothing", async (_, script, place) => {
  expect(await reload(scriptOf("2", script), "was not taken")).toContain(place);
  expect((await gateway.request(name, "/x")).headers["x-version"]).toBe("v1");
});

/** New connections until each of these workers has answered; what versions they run. */
async function versionsOf(workers: readonly number[]): Promise<unknown[]> {
  const versions = new Map<unknown, unknown>();
  for (let i = 0; i < 2000 && versions.size < workers.length; i++) {
    const { headers } = await gateway.request(name, "/who");
    versions.set(Number(headers["x-worker"]), headers["x-version"]);
  }
  return workers.map((pid) => versions.get(pid));
}

test.each([
  ["throws", (pid: number) => `if (process.pid === ${pid}) throw new RangeError("not here")`, "RangeError: not here"],
  [
    "listens elsewhere",
    (pid: number) => `if (process.pid === ${pid}) listen("127.0.0.2:0", $ => $)`,
    "the workers disagree",
  ],
])("a new script that %s in one worker of two is in force in neither", async (_, script, reason) => {
  const workers = await gateway.workers();
  for (const [i, pid] of workers.entries()) {
    const told = await reload(scriptOf("2", script(pid)), "was not taken");
    expect(told, `worker ${i}`).toMatch(new RegExp(reason));
    expect(await versionsOf(workers)).toEqual(["v1", "v1"]);
    expect(await gateway.workers()).toEqual(workers);
  }
});

test(`${RELOADS} reloads under load lose no request`, async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let running = true;
  const versions = new Set<unknown>();
  const ask = (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port: gateway.port(name), path, agent }, (response) => {
        versions.add(response.headers["x-version"]);
        response.resume().on("end", () => (response.statusCode === 200 ? resolve() : reject(new Error(path))));
      }).on("error", reject);
    });
  const clients = Array.from({ length: 8 }, async (_, client) => {
    for (let i = 0; running; i++) await ask(`/${client}/${i}`);
  });
  const answered = async (version: number): Promise<void> => {
    while (!versions.has(`v${version}`)) await Promise.race([sleep(10), ...clients]);
  };
  await answered(1);
  for (let version = 2; version <= RELOADS + 1; version++) {
    await reload(scriptOf(String(version)), "is in force");
    await answered(version);
  }
  running = false;
  await Promise.all(clients);
  agent.destroy();
  expect([...versions]).toEqual(Array.from({ length: RELOADS + 1 }, (_, i) => `v${i + 1}`));
});
