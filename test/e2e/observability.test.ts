/**
 * What can be seen of a gateway that serves: its metrics by route, `penstock top`, `tap` and `logs` as they are used, spans at a
 * collector, and what its processes do.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { defined } from "#core/assert.ts";
import { type Gateway, startGateway } from "#test/support/gateway.ts";
import { readOpenMetrics } from "#test/support/openmetrics.ts";
import { penstock, penstockOnTerminal, startPenstock } from "#test/support/penstock.ts";

const PATIENCE_MS = 120_000;

const answering = (status: number) => [{ builtin: "static-response", config: { status, body: "said" } }];
const route = (name: string, filters: readonly object[], upstream = "app") => ({
  name,
  tenant: "ops",
  match: { path: { prefix: `/${name}` } },
  filters,
  upstream,
});

interface Received {
  readonly type: string | undefined;
  readonly spans: readonly Record<string, unknown>[];
}

const received: Received[] = [];
/** Takes OTLP/HTTP with JSON. */
const collector = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  request.on("end", () => {
    const { resourceSpans } = JSON.parse(text) as {
      resourceSpans: { scopeSpans: { spans: Record<string, unknown>[] }[] }[];
    };
    const spans = resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans));
    received.push({ type: request.headers["content-type"], spans });
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
});
const seen: (string | undefined)[] = [];
const app = createServer((request, response) => {
  seen.push(request.headers["traceparent"] as string | undefined);
  response.writeHead(503).end("no");
});

let gateway: Gateway;
let folder: string;

const addressOf = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`;
const at = () => ({ cwd: folder });
const verb = (...args: string[]) => penstock(at(), ...args, "--data", gateway.data);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "penstock-observability-"));
  for (const server of [collector, app]) {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  }
  gateway = await startGateway({
    workers: 2,
    config: {
      listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
      upstreams: [
        { name: "app", endpoints: [{ address: addressOf(app) }] },
        { name: "collector", endpoints: [{ address: addressOf(collector) }] },
      ],
      tenants: [{ name: "ops", hosts: ["*"] }],
      routes: [
        route("good", answering(200)),
        route("bad", answering(503)),
        route("traced", [{ builtin: "trace", config: { upstream: "collector", percent: 0 } }]),
      ],
    },
  });
});

afterAll(async () => {
  await gateway?.stop();
  collector.close();
  app.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Requests go through until `done`; all are answered. */
async function whileServing<T>(done: Promise<T>, path: (i: number) => string = () => "/good"): Promise<T> {
  let going = true;
  const serving = (async () => {
    const headers = { authorization: "Bearer s3cret", "x-shown": "1", cookie: "sid=s3cret" };
    for (let i = 0; going; i++) {
      expect((await gateway.request("web", path(i), { headers })).status).toBe(200);
      await gateway.request("web", "/bad");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  try {
    return await done;
  } finally {
    going = false;
    await serving;
  }
}

test("metrics of each route and listener are OpenMetrics, whatever worker served", async () => {
  for (let i = 0; i < 30; i++) expect((await gateway.request("web", "/good")).status).toBe(200);
  for (let i = 0; i < 10; i++) expect((await gateway.request("web", "/bad/x")).status).toBe(503);
  expect((await gateway.request("web", "/")).status).toBe(404);
  const metrics = readOpenMetrics((await gateway.admin("GET", "/metrics")).body);
  expect(metrics.get('penstock_route_requests_total{tenant="ops",route="good",status="2xx"}')).toBe(30);
  expect(metrics.get('penstock_route_requests_total{tenant="ops",route="bad",status="5xx"}')).toBe(10);
  expect(metrics.get('penstock_listener_requests_total{listener="web",status="4xx"}')).toBe(1);
  expect(metrics.get('penstock_tenant_requests_total{tenant="ops",status="2xx"}')).toBe(30);
  expect(metrics.get('penstock_route_duration_seconds_count{tenant="ops",route="good"}')).toBe(30);
  expect(metrics.get('penstock_route_response_body_bytes_total{tenant="ops",route="bad"}')).toBe(40);
});

test(
  "what a worker has counted is not lost with it",
  async () => {
    const read = async () => readOpenMetrics((await gateway.admin("GET", "/metrics")).body);
    const before = await read();
    for (const pid of await gateway.workers()) process.kill(pid, "SIGKILL");
    const after = await read();
    const totals = [...before].filter(([name]) => /^penstock_(route|listener|tenant|requests|responses)/.test(name));
    expect(totals.length).toBeGreaterThan(10);
    expect(totals.filter(([name, value]) => !((after.get(name) ?? 0) >= value))).toEqual([]);
    await expect.poll(async () => (await gateway.workers()).every((pid) => pid > 0)).toBe(true);
    await expect
      .poll(() =>
        gateway.request("web", "/good").then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    const name = 'penstock_route_requests_total{tenant="ops",route="good",status="2xx"}';
    expect((await read()).get(name)).toBeGreaterThan(before.get(name) ?? 0);
  },
  PATIENCE_MS,
);

test(
  "top tells rates of what goes through",
  async () => {
    const { code, out } = await whileServing(verb("top", "--count", "1", "--interval", "1", "--json"));
    expect(code).toBe(0);
    const { routes } = JSON.parse(out) as { routes: { name: string; requestsPerSecond: number; p99Ms: number }[] };
    const good = defined(
      routes.find(({ name }) => name === "ops/good"),
      "the route",
    );
    expect(good.requestsPerSecond).toBeGreaterThan(0);
    expect(good.p99Ms).toBeGreaterThan(0);
  },
  PATIENCE_MS,
);

test(
  "on a terminal top draws over itself and fits",
  async () => {
    const columns = 40;
    const args = ["top", "--count", "2", "--interval", "1", "--data", gateway.data];
    const { code, out } = await whileServing(penstockOnTerminal(columns, at(), ...args));
    expect(code).toBe(0);
    const screens = out.split("\u001b[H\u001b[J");
    expect(screens).toHaveLength(3);
    for (const screen of screens.slice(1)) {
      const [first = "", , ...table] = screen.trim().split("\n");
      expect(first).toMatch(/^[\d.]+ requests\/s, [\d.]+ answered 5xx\/s, \d+ connections/);
      expect(table[0]).toMatch(/^ROUTE +REQ\/S +5XX\/S +P50 MS +P99 MS$/);
      expect(table.some((line) => line.startsWith("ops/bad"))).toBe(true);
      for (const line of table) expect(line.length).toBeLessThanOrEqual(columns);
    }
  },
  PATIENCE_MS,
);

test(
  "a sampled request has a span at the collector, and its trace goes on to the upstream",
  async () => {
    const [trace, parent] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    await gateway.request("web", "/traced/quiet");
    await gateway.request("web", "/traced/a?b", { headers: { traceparent: `00-${trace}-${parent}-01` } });
    await expect.poll(() => received.flatMap(({ spans }) => spans).length, { timeout: 20_000 }).toBe(1);
    const [span] = received.flatMap(({ spans }) => spans);
    expect(received[0]?.type).toBe("application/json");
    expect(span).toMatchObject({ traceId: trace, parentSpanId: parent, name: "GET traced", status: { code: 2 } });
    expect(seen).toEqual([undefined, `00-${trace}-${String(span?.["spanId"])}-01`]);
    const attributes = new Map(
      (defined(span, "a span")["attributes"] as { key: string; value: Record<string, string> }[]).map(
        ({ key, value }) => [key, Object.values(value)[0]],
      ),
    );
    expect(attributes.get("http.response.status_code")).toBe("503");
    expect(attributes.get("url.path")).toBe("/traced/a");
    expect(attributes.get("penstock.upstream")).toBe(addressOf(app));
    const length = BigInt(String(span?.["endTimeUnixNano"])) - BigInt(String(span?.["startTimeUnixNano"]));
    expect(length >= 0n && length < 60_000_000_000n).toBe(true);
  },
  PATIENCE_MS,
);

test(
  "tap shows live exchanges of a route, without secrets",
  async () => {
    const tapped = verb("tap", "--route", "ops/good", "--count", "2", "--json");
    // Until the tap is open nobody keeps anything.
    const { code, out } = await whileServing(tapped, (i) => `/good/${i}?a=1&access_token=s3cret`);
    expect([code, out.includes("s3cret")]).toEqual([0, false]);
    const lines = out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toHaveLength(2);
    for (const line of lines) {
      expect(line).toMatchObject({ route: "ops/good", status: 200, method: "GET", outcome: "local-reply" });
      expect(line["target"]).toMatch(/^\/good\/\d+\?a=1&access_token=\(redacted\)$/);
      expect(Object.fromEntries(line["headers"] as [string, string][])).toMatchObject({
        authorization: "(redacted)",
        cookie: "(redacted)",
        "x-shown": "1",
      });
    }
  },
  PATIENCE_MS,
);

test(
  "on a terminal tap's lines fit, with headers below",
  async () => {
    const args = ["tap", "--count", "1", "--headers", "--route", "ops/good", "--data", gateway.data];
    const { code, out } = await whileServing(penstockOnTerminal(50, at(), ...args));
    expect(code).toBe(0);
    const [line = "", ...headers] = out.trim().split("\n");
    expect(line).toMatch(/^\d\d:\d\d:\d\d\.\d{3} 200 [\d.]+ms 127\.0\.0\.1.*…$/);
    expect(line).toHaveLength(50);
    expect(headers.map((one) => one.trim())).toContain("x-shown: 1");
  },
  PATIENCE_MS,
);

test(
  "on a terminal explain names the way of a request, and why not another",
  async () => {
    const url = `http://127.0.0.1:${gateway.port("web")}/traced/x`;
    const { code, out } = await penstockOnTerminal(60, at(), "explain", "GET", url, "--data", gateway.data);
    expect(code).toBe(0);
    const lines = out.trim().split("\n");
    expect(lines.slice(0, 5)).toEqual([
      expect.stringMatching(/^revision  \d+$/),
      "listener  web",
      "route     ops/traced",
      "filters   1. trace (built in)",
      "action    upstream app (1)",
    ]);
    expect(lines.slice(5).join("\n")).toMatch(/^because   [^]*traced \(any host\): chosen/);
    expect(lines.filter((line) => /(?:good|bad) \(any host\): path/.test(line))).toHaveLength(2);
  },
  PATIENCE_MS,
);

test(
  "logs tell of changes as they happen, of those before, and of workers that end and come back",
  async () => {
    const logs = startPenstock(at(), "logs", "--since", "1", "--data", gateway.data);
    const json = startPenstock(at(), "logs", "--since", "2", "--json", "--data", gateway.data);
    try {
      const before = gateway.admin("PUT", "/v1/tenants/ops/secrets/a", { value: "v" }, { "if-none-match": "*" });
      expect((await before).status).toBe(201);
      await expect.poll(() => logs.out).toMatch(/ revision 2 put secret ops\/a \(socket\)\n/);
      const refused = { builtin: "static-files", config: { directory: "nowhere" } };
      const made = gateway.admin("PUT", "/v1/tenants/ops/routes/files", route("files", [refused]), {
        "if-none-match": "*",
      });
      expect((await made).status).toBe(422);
      await expect.poll(() => logs.out).toMatch(/ revision 3 put route ops\/files \(socket\) REFUSED: worker \d: .+\n/);
      const [pid = 0] = await gateway.workers();
      await expect.poll(() => json.out).toContain('"what":"put route ops/files"');
      process.kill(pid, "SIGKILL");
      await expect.poll(() => logs.out).toMatch(/ worker 0: ready, pid \d+, restarted 2 times\n/);
      const events = json.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { event: string; revision?: number });
      expect(events.find(({ event }) => event !== "worker")?.revision).toBe(3);
    } finally {
      logs.interrupt();
      json.interrupt();
      await Promise.all([logs.ended, json.ended]);
    }
  },
  PATIENCE_MS,
);

test(
  "a profile and a heap snapshot of each process are recorded while requests are served",
  async () => {
    const recording = Promise.all(
      ["supervisor", "control", "worker-0"].map(async (process) => {
        const { body } = await gateway.admin("GET", `/v1/processes/${process}/cpu-profile?seconds=1`);
        const { nodes, samples } = JSON.parse(body) as { nodes: object[]; samples: number[] };
        expect([process, nodes.length > 1, samples.length > 10]).toEqual([process, true, true]);
      }),
    );
    const args = ["profile", "heap", "worker-1", "worker.heapsnapshot", "--data", gateway.data];
    const heap = penstockOnTerminal(60, at(), ...args);
    await whileServing(Promise.all([recording, heap]));
    // Each line of progress takes the place of the one before, and what is said in the end that of the last.
    const lines = (await heap).out.split("\u001b[K");
    expect(lines[1]).toBe("looking at the memory of worker-1");
    expect(lines.at(-2)).toMatch(/^worker\.heapsnapshot: \d+ bytes$/);
    expect(lines.at(-1)).toMatch(/^worker\.heapsnapshot: \d+ bytes; Chrome's developer tools open it\n$/);
    const { snapshot } = JSON.parse(readFileSync(join(folder, "worker.heapsnapshot"), "utf8")) as {
      snapshot: { node_count: number };
    };
    expect(snapshot.node_count).toBeGreaterThan(1000);

    const path = "/v1/processes/worker-0/cpu-profile?seconds=1";
    const both = await Promise.all([gateway.admin("GET", path), gateway.admin("GET", path)]);
    expect(both.map(({ status }) => status).toSorted()).toEqual([200, 409]);
    expect(await verb("profile", "cpu", "worker-7", "none")).toMatchObject({
      code: 1,
      err: expect.stringContaining("there are supervisor, control, worker-0, worker-1") as string,
    });
    const { items } = JSON.parse((await gateway.admin("GET", "/v1/audit?limit=1000")).body) as {
      items: { what: string }[];
    };
    expect(items.map(({ what }) => what)).toContain("take a heap snapshot of worker-1");
  },
  PATIENCE_MS,
);
