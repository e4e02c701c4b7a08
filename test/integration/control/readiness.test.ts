/** `/readyz` by what the supervisor says of its workers. How a whole gateway comes to it: test/integration/main/readiness.test.ts. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeSupervisor } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
});
afterAll(() => gateway.dispose());

it.each<[FakeSupervisor["workers"] & object]>([[["ready"]], [["down", "ready", "starting"]]])(
  "one ready worker is enough: %j",
  async (workers) => {
    gateway.workers = workers;
    expect(await gateway.call("GET", "/readyz")).toMatchObject({ status: 200, text: "ok\n" });
  },
);

it.each<[FakeSupervisor["workers"], string]>([
  [["starting", "down"], "none of 2 workers is ready"],
  [["draining", "draining"], "none of 2 workers is ready"],
  [[], "none of 0 workers is ready"],
  [null, "no answer within 5000 ms"],
])("503 with the reason, and alive all the same: %j", async (workers, reason) => {
  gateway.workers = workers;
  const { status, headers, json } = await gateway.call("GET", "/readyz");
  expect([status, headers["content-type"]]).toEqual([503, "application/problem+json"]);
  expect(json).toMatchObject({ code: "PENSTOCK_CONTROL_UNAVAILABLE", detail: expect.stringContaining(reason) });
  expect(await gateway.call("GET", "/livez")).toMatchObject({ status: 200, text: "ok\n" });
});
