/** What can be seen of a gateway that serves: its metrics by route, `penstock top` and `tap`, and spans at a collector. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { defined } from "#core/assert.ts";
import { type Gateway, startGateway } from "#test/support/gateway.ts";
import { readOpenMetrics } from "#test/support/openmetrics.ts";
import { penstock } from "#test/support/penstock.ts";

let gateway: Gateway | null = null;
afterEach(async () => {
  await gateway?.stop();
  gateway = null;
});

const answering = (status: number) => [{ builtin: "static-response", config: { status, body: "said" } }];

const CONFIG = {
  listeners: [{ name: "web", address: "127.0.0.1:0", protocol: "http" }],
  upstreams: [{ name: "none", endpoints: [{ address: "127.0.0.1:1" }] }],
  tenants: [{ name: "ops", hosts: ["*"] }],
  routes: [
    { name: "good", tenant: "ops", match: { path: { prefix: "/good" } }, filters: answering(200), upstream: "none" },
    { name: "bad", tenant: "ops", match: { path: { prefix: "/bad" } }, filters: answering(503), upstream: "none" },
  ],
};

test("metrics of each route and listener are OpenMetrics, whatever worker served; top tells rates", async () => {
  const running = await startGateway({ config: CONFIG, workers: 2 });
  gateway = running;
  const view = penstock({ cwd: "/" }, "top", "--count", "1", "--interval", "3", "--json", "--data", running.data);
  for (let i = 0; i < 30; i++) expect((await running.request("web", "/good")).status).toBe(200);
  for (let i = 0; i < 10; i++) expect((await running.request("web", "/bad/x")).status).toBe(503);
  expect((await running.request("web", "/")).status).toBe(404);

  const metrics = readOpenMetrics((await running.admin("GET", "/metrics")).body);
  expect(metrics.get('penstock_route_requests_total{tenant="ops",route="good",status="2xx"}')).toBe(30);
  expect(metrics.get('penstock_route_requests_total{tenant="ops",route="bad",status="5xx"}')).toBe(10);
  expect(metrics.get('penstock_listener_requests_total{listener="web",status="4xx"}')).toBe(1);
  expect(metrics.get('penstock_tenant_requests_total{tenant="ops",status="2xx"}')).toBe(30);
  expect(metrics.get('penstock_route_duration_seconds_count{tenant="ops",route="good"}')).toBe(30);
  expect(metrics.get('penstock_route_response_body_bytes_total{tenant="ops",route="bad"}')).toBe(40);

  const { code, out } = await view;
  expect(code).toBe(0);
  const { routes } = JSON.parse(out) as { routes: { name: string; requestsPerSecond: number }[] };
  // On a machine that is busy the reading may end before the requests do.
  expect(routes.map(({ name }) => name).every((name) => ["ops/good", "ops/bad"].includes(name))).toBe(true);
}, 180_000);

interface Received {
  readonly type: string | undefined;
  readonly spans: readonly Record<string, unknown>[];
}

/** Takes OTLP/HTTP with JSON. */
async function collector(received: Received[]): Promise<Server> {
  const server = createServer((request, response) => {
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
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

test("a sampled request has a span at the collector, and its trace goes on to the upstream", async () => {
  const received: Received[] = [];
  const collecting = await collector(received);
  const seen: (string | undefined)[] = [];
  const app = createServer((request, response) => {
    seen.push(request.headers["traceparent"] as string | undefined);
    response.writeHead(503).end("no");
  });
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  const addressOf = (server: Server) => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const running = await startGateway({
      config: {
        ...CONFIG,
        upstreams: [
          { name: "app", endpoints: [{ address: addressOf(app) }] },
          { name: "collector", endpoints: [{ address: addressOf(collecting) }] },
        ],
        routes: [
          {
            name: "traced",
            tenant: "ops",
            filters: [{ builtin: "trace", config: { upstream: "collector", percent: 0 } }],
            upstream: "app",
          },
        ],
      },
    });
    gateway = running;
    const [trace, parent] = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"];
    await running.request("web", "/quiet");
    await running.request("web", "/a?b", { headers: { traceparent: `00-${trace}-${parent}-01` } });
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
    expect(attributes.get("url.path")).toBe("/a");
    expect(attributes.get("penstock.upstream")).toBe(addressOf(app));
    const length = BigInt(String(span?.["endTimeUnixNano"])) - BigInt(String(span?.["startTimeUnixNano"]));
    expect(length >= 0n && length < 60_000_000_000n).toBe(true);
  } finally {
    collecting.close();
    app.close();
  }
}, 180_000);

test("tap shows live exchanges of a route, without secrets", async () => {
  const running = await startGateway({ config: CONFIG, workers: 1 });
  gateway = running;
  const verb = (...args: string[]) => penstock({ cwd: "/" }, ...args, "--json", "--data", running.data);
  const tapped = verb("tap", "--route", "ops/good", "--count", "2");
  const ask = (path: string) =>
    running.request("web", path, { headers: { authorization: "Bearer s3cret", "x-shown": "1", cookie: "sid=s3cret" } });
  // Until the tap is open nobody keeps anything.
  let done = false;
  const asking = (async () => {
    for (let i = 0; !done; i++) {
      await ask(`/good/${i}?a=1&access_token=s3cret`);
      await ask("/bad");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();
  const { code, out } = await tapped;
  done = true;
  await asking;
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
}, 180_000);
