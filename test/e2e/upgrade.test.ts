/** The running program is replaced under load: nothing is refused, nothing cut, and a successor that fails changes nothing. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, createServer, request, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { processStartTime } from "#sys/process.ts";
import { type Gateway, startGateway } from "#test/support/gateway.ts";
import { penstock } from "#test/support/penstock.ts";
import { countingPlugin } from "#test/support/reply-plugins.ts";

let upstream: Server;
let gateway: Gateway | null = null;
let directory = "";

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "penstock-upgrade-test-"));
  chmodSync(directory, 0o755);
  writeFileSync(join(directory, "counting.wasm"), countingPlugin());
  // Some answers are on the way for a while: an upgrade meets requests in every phase.
  upstream = createServer((incoming, answer) => {
    const ms = Number(new URL(incoming.url ?? "/", "http://x").searchParams.get("ms") ?? 0);
    void sleep(ms).then(() => answer.end(`${incoming.url} ${"x".repeat(2000)}`));
  });
  upstream.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  upstream.close();
  upstream.closeAllConnections();
  rmSync(directory, { recursive: true });
});
afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

function config(): object {
  const address = `127.0.0.1:${portOf(upstream)}`;
  return {
    listeners: [
      { name: "web", address: "127.0.0.1:0", protocol: "http" },
      { name: "raw", address: "127.0.0.1:0", protocol: "tcp" },
    ],
    upstreams: [{ name: "app", endpoints: [{ address }] }],
    tenants: [{ name: "ops", hosts: ["*"] }],
    plugins: [{ name: "counting", tenant: "ops", version: "1", file: join(directory, "counting.wasm") }],
    routes: [
      { name: "all", tenant: "ops", listeners: ["web"], upstream: "app" },
      {
        name: "counting",
        tenant: "ops",
        listeners: ["web"],
        match: { path: { prefix: "/counting" } },
        filters: [{ plugin: "counting@1", allow: { keyValue: true } }],
        upstream: "app",
      },
      {
        name: "limited",
        tenant: "ops",
        listeners: ["web"],
        match: { path: { prefix: "/limited" } },
        filters: [{ builtin: "rate-limit", config: { perSecond: 0.001, burst: 6, key: "route" } }],
        upstream: "app",
      },
      { name: "raw", tenant: "ops", listeners: ["raw"], upstream: "app" },
    ],
    settings: { accessLog: "off", idleTimeoutMs: 15_000 },
  };
}

/** Clients that ask without a break, on kept connections and on new ones. What fails is told by `problems`. */
class Load {
  readonly problems: string[] = [];
  done = 0;
  readonly #port: number;
  readonly #agents: Agent[];
  #stopped = false;
  readonly #clients: Promise<void>[];

  constructor(port: number) {
    this.#port = port;
    this.#agents = [true, true, true, false, false].map((keepAlive) => new Agent({ keepAlive, maxSockets: 1 }));
    this.#clients = this.#agents.map((agent, i) => this.#client(agent, i));
  }

  async #client(agent: Agent, number: number): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const path = `/${number}/${i}?ms=${i % 10 === 0 ? 120 : 0}`;
      try {
        const body = await this.#ask(agent, path);
        if (!body.startsWith(`${path} x`) || body.length !== path.length + 2001)
          this.problems.push(`${path}: ${body.slice(0, 80)}`);
        else this.done++;
      } catch (error) {
        this.problems.push(`${path}: ${String(error)}`);
      }
    }
  }

  #ask(agent: Agent, path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const outgoing = request({ host: "127.0.0.1", port: this.#port, path, agent }, (incoming) => {
        let text = "";
        incoming.setEncoding("latin1").on("data", (piece: string) => (text += piece));
        incoming.once("end", () => resolve(incoming.complete ? text : `cut after ${text.length}`));
        incoming.once("error", reject);
      });
      outgoing.once("error", reject);
      outgoing.end();
    });
  }

  /** Another so many have been answered. */
  async more(count: number): Promise<void> {
    const wanted = this.done + count;
    await expect.poll(() => this.done >= wanted || this.problems.length > 0, { timeout: 60_000 }).toBe(true);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    for (const agent of this.#agents) agent.destroy();
  }
}

function raw(port: number): { socket: Socket; ask: (path: string) => Promise<string> } {
  const socket = connect(port, "127.0.0.1");
  const ask = async (path: string): Promise<string> => {
    let text = "";
    const take = (piece: Buffer): void => {
      text += piece.toString("latin1");
    };
    socket.on("data", take);
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    await expect.poll(() => text, { timeout: 30_000 }).toMatch(/x{2000}/);
    socket.off("data", take);
    return text;
  };
  return { socket, ask };
}

const gone = (pid: number): Promise<void> => expect.poll(() => processStartTime(pid), { timeout: 60_000 }).toBe(null);

test("two upgrades under load: no request is refused or cut, streams go on, the admin API and the next change work", async () => {
  const running = await startGateway({ config: config(), workers: 2 });
  gateway = running;
  const stream = raw(running.port("raw"));
  const load = new Load(running.port("web"));
  const limited = async (): Promise<number> => (await running.request("web", "/limited")).status;
  const counted = async (): Promise<number> => (await running.request("web", "/counting")).status - 200;
  try {
    await load.more(50);
    for (let i = 1; i <= 5; i++) expect([await limited(), await counted()]).toEqual([200, i]);
    expect(await stream.ask("/before")).toMatch(/^HTTP\/1.1 200/);
    const first = await running.upgrade();
    // Rates, and what plugins have stored, go on where they were.
    expect([await limited(), await limited()]).toEqual([200, 429]);
    expect([await counted(), await counted()]).toEqual([6, 7]);
    await load.more(100);
    // The stream is the old gateway's, which waits for it.
    expect(await stream.ask("/behind")).toMatch(/^HTTP\/1.1 200/);
    expect(processStartTime(first)).not.toBe(null);
    expect(JSON.parse((await running.admin("GET", "/v1/status")).body)).toMatchObject({ revision: 1 });
    const second = await running.upgrade();
    expect([await limited(), await counted()]).toEqual([429, 8]);
    await load.more(100);
    stream.socket.destroy();
    await Promise.all([gone(first), gone(second)]);
    await load.more(20);
    const tenant = await running.admin(
      "PUT",
      "/v1/tenants/more",
      { name: "more", hosts: ["more.example"] },
      { "if-none-match": "*" },
    );
    expect(tenant.status).toBe(201);
    await load.more(20);
  } finally {
    stream.socket.destroy();
    await load.stop();
  }
  expect(load.problems).toEqual([]);
}, 150_000);

test("a successor that can't serve changes nothing, and `penstock upgrade` says why; the next one can", async () => {
  const running = await startGateway({ config: config() });
  gateway = running;
  const file = join(dirname(running.data), "penstock.yaml");
  const good = readFileSync(file, "utf8");
  const load = new Load(running.port("web"));
  try {
    await load.more(20);
    writeFileSync(file, `${good}listners: []\n`);
    const failed = await penstock({ cwd: dirname(running.data) }, "upgrade", "--data", running.data);
    expect([failed.code, failed.err]).toEqual([1, expect.stringMatching(/was not upgraded.*it gave up/)]);
    expect(running.logs.join("\n")).toMatch(/did you mean/);
    await load.more(20);
    await expect.poll(async () => (await running.admin("GET", "/v1/status")).status, { timeout: 30_000 }).toBe(200);

    writeFileSync(file, good);
    const before = running.pid;
    const done = await penstock({ cwd: dirname(running.data) }, "upgrade", "--data", running.data, "--json");
    expect(done.code, done.err).toBe(0);
    expect(JSON.parse(done.out)).toMatchObject({ before });
    await load.more(20);
  } finally {
    await load.stop();
  }
  expect(load.problems).toEqual([]);
  // The harness learns who it is now from the line that every start prints.
  await expect.poll(() => running.pid).not.toBe(0);
}, 150_000);

test("nothing runs there, nothing is upgraded", async () => {
  const { code, err } = await penstock({ cwd: "/tmp" }, "upgrade", "--data", "/tmp/penstock-nobody-is-here");
  expect([code, err]).toEqual([1, expect.stringMatching(/no gateway runs on/)]);
});
