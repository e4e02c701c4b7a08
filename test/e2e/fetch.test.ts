/**
 * A plugin that asks another upstream before it lets a request pass, written in AssemblyScript and built here: every
 * request gets its own answer however many wait, nothing but what the route allows is asked, and who waits holds up nobody.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildPlugin } from "#sdk/tooling/build.ts";
import { formatDiagnostic } from "#sdk/tooling/diagnostic.ts";
import { startGateway, type Answer, type Gateway } from "#test/support/gateway.ts";
import { freePort } from "#test/support/ports.ts";

/** Asks `auth` who a token is of; answers 401 for nobody's, and 502 with the reason when it gets no answer. */
const SOURCE = `import { Request, Action, config, fetch, FetchOptions, log, respond } from "penstock/assembly"

let upstream = "auth"
let timeoutMs: i32 = 0

export function onConfigure(): bool {
  const named = config().get("upstream")
  if (named !== null) upstream = named
  timeoutMs = config().integer("timeoutMs", 0)
  return true
}

export function onRequest(req: Request): Action {
  const token = req.header("x-token")
  if (token === null) return respond(401, "no token\\n")
  const options = new FetchOptions().header("x-token", token)
  options.timeoutMs = timeoutMs
  const answer = fetch(upstream, "/whose?" + req.query, options)
  if (answer.status == 0) return respond(502, answer.error + "\\n")
  if (!answer.ok) return respond(answer.status, answer.body)
  const kind = answer.header("x-kind")
  req.setHeader("x-user", answer.body)
  req.setHeader("x-kind", kind === null ? "" : kind)
  return Action.Continue
}
`;
const AT_ONCE = 50;
const WAITING = 200;

/** Requests that are being answered, the most there were, and those that wait until they are released. */
let atOnce = 0;
let mostAtOnce = 0;
const held: (() => void)[] = [];

/** `/whose?delay=MS`: the token's user after so long; `?held`: when released. The token `hold` never gets an answer. */
const auth = http.createServer((request, response) => {
  const url = new URL(request.url ?? "", "http://auth");
  const token = request.headers["x-token"]?.toString() ?? "";
  if (token === "hold") return;
  mostAtOnce = Math.max(mostAtOnce, ++atOnce);
  const answer = (): void => {
    atOnce--;
    response.statusCode = token.startsWith("user-") ? 200 : 403;
    response.setHeader("x-kind", "person");
    response.end(token.startsWith("user-") ? token.slice("user-".length) : `nobody is ${token}\n`);
  };
  if (url.searchParams.has("held")) held.push(answer);
  else setTimeout(answer, Number(url.searchParams.get("delay") ?? 0));
});
let passed = 0;
const api = http.createServer((request, response) => {
  passed++;
  response.end(`${request.headers["x-user"]} ${request.headers["x-kind"]} ${request.url}\n`);
});

describe.each(["io_uring", "epoll"])("fetch over %s", (io) => {
  let folder: string;
  let gateway: Gateway;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "penstock-fetch-"));
    mkdirSync(join(folder, "assembly"));
    writeFileSync(join(folder, "assembly/index.ts"), SOURCE);
    const { wasm, diagnostics } = await buildPlugin(folder);
    expect(diagnostics.map(formatDiagnostic)).toEqual([]);
    writeFileSync(join(folder, "auth.wasm"), wasm);
    const [authPort, apiPort] = [await listening(auth), await listening(api)];
    const filter = (more: object): object => ({ plugin: "auth@1", allow: { upstreams: ["auth"] }, ...more });
    const route = (name: string, filters: readonly object[]): object => ({
      name,
      tenant: "acme",
      match: { path: { prefix: `/${name}` } },
      filters,
      upstream: "api",
    });
    gateway = await startGateway({
      env: { PENSTOCK_IO: io },
      config: {
        listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
        upstreams: [
          { name: "api", endpoints: [{ address: `127.0.0.1:${apiPort}` }] },
          { name: "auth", endpoints: [{ address: `127.0.0.1:${authPort}` }] },
          { name: "gone", endpoints: [{ address: `127.0.0.1:${await freePort()}` }] },
        ],
        tenants: [{ name: "acme", hosts: ["*"] }],
        plugins: [{ name: "auth", tenant: "acme", version: "1", file: join(folder, "auth.wasm") }],
        routes: [
          route("plain", []),
          route("asked", [filter({ limits: { deadlineMs: 20_000 } })]),
          route("secret", [filter({ config: { upstream: "api" } })]),
          route("gone", [filter({ config: { upstream: "gone" }, allow: { upstreams: ["gone"] } })]),
          route("patient", [filter({ config: { timeoutMs: 100 } })]),
          route("deny", [filter({ limits: { deadlineMs: 500 } })]),
          route("allow", [filter({ limits: { deadlineMs: 500 }, onFault: "allow" })]),
        ],
        settings: { accessLog: "off" },
      },
    });
  });

  afterAll(async () => {
    await gateway?.stop();
    for (const server of [auth, api]) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = (path: string, token?: string): Promise<Answer> =>
    gateway.request("web", path, token === undefined ? {} : { headers: { "x-token": token } });

  it("passes who is known on, with what the answer said, and nobody else", async () => {
    expect(await ask("/asked/a", "user-kim")).toMatchObject({ status: 200, body: "kim person /asked/a\n" });
    const before = passed;
    expect(await ask("/asked/a", "eve")).toMatchObject({ status: 403, body: "nobody is eve\n" });
    expect(await ask("/asked/a")).toMatchObject({ status: 401, body: "no token\n" });
    expect(passed).toBe(before);
  });

  it(`gives each of ${AT_ONCE} at once its own answer, in the order of the answers`, async () => {
    const finished: number[] = [];
    const delay = (i: number): number => ((i * 7) % AT_ONCE) * 8;
    mostAtOnce = 0;
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, i) => {
        const answer = await ask(`/asked/${i}?delay=${delay(i)}`, `user-${i}`);
        finished.push(i);
        return answer.body;
      }),
    );
    expect(answers).toEqual(answers.map((_, i) => `${i} person /asked/${i}?delay=${delay(i)}\n`));
    expect(finished).not.toEqual(finished.toSorted((a, b) => a - b));
    // One after the other there would never be two.
    expect(mostAtOnce).toBeGreaterThan(5);
  });

  it("asks no upstream that the route does not allow", async () => {
    const before = passed;
    expect(await ask("/secret", "user-kim")).toMatchObject({
      status: 502,
      body: "the route does not allow the upstream api\n",
    });
    expect(passed).toBe(before);
  });

  it("tells the plugin why there is no answer", async () => {
    expect(await ask("/gone", "user-kim")).toMatchObject({
      status: 502,
      body: "no endpoint of the upstream accepted a connection\n",
    });
    expect(await ask("/patient", "hold")).toMatchObject({ status: 502, body: "the upstream did not answer in time\n" });
  });

  it("goes by onFault when the plugin's own time is over", async () => {
    expect((await ask("/deny", "hold")).status).toBe(503);
    expect(await ask("/allow", "hold")).toMatchObject({ status: 200 });
    expect(await ask("/deny", "user-kim")).toMatchObject({ status: 200, body: "kim person /deny\n" });
  });

  it(`holds up nobody while ${WAITING} requests wait`, async () => {
    let over = 0;
    const waiting = Array.from({ length: WAITING }, (_, i) =>
      ask(`/asked/${i}?held`, `user-${i}`).finally(() => over++),
    );
    await expect.poll(() => held.length).toBe(WAITING);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const times: number[] = [];
    for (let i = 0; i < 200; i++) {
      const started = performance.now();
      expect(await plain(agent, gateway.port("web"))).toBe(200);
      times.push(performance.now() - started);
    }
    agent.destroy();
    const median = times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0;
    process.stdout.write(`${io}: beside ${WAITING} that wait: median ${median.toFixed(2)} ms\n`);
    expect(over).toBe(0);
    for (const release of held.splice(0)) release();
    const answers = await Promise.all(waiting);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    expect(answers.map(({ body }) => body.split(" ")[0])).toEqual(answers.map((_, i) => String(i)));
  });
});

function listening(server: http.Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  });
}

function plain(agent: http.Agent, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get({ agent, host: "127.0.0.1", port, path: "/plain" }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode ?? 0));
      })
      .on("error", reject);
  });
}
