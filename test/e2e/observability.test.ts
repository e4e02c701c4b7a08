/** What can be seen of a gateway that serves: its metrics by route, and `penstock top`. */
import { afterEach, expect, test } from "vitest";
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
}, 60_000);
