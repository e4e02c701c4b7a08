/** Server-sent events of a control process that runs: over a restart, past a revoked token, and at shutdown. */
import { request, type IncomingMessage } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeSupervisor } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
});
afterAll(() => gateway.dispose());

interface Followed {
  readonly response: IncomingMessage;
  readonly text: () => string;
  readonly ended: Promise<void>;
  stop(): void;
}

function follow(path: string, headers: Record<string, string> = {}): Promise<Followed> {
  const { promise, resolve, reject } = Promise.withResolvers<Followed>();
  const sent = request({ socketPath: gateway.socketPath, path, headers }, (response) => {
    let text = "";
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    response.on("data", (chunk: Buffer) => (text += chunk.toString()));
    response.on("close", end);
    response.on("error", () => end());
    resolve({ response, text: () => text, ended, stop: () => sent.destroy() });
  });
  sent.on("error", reject);
  sent.end();
  return promise;
}

const ids = (text: string) => [...text.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
const listener = (port: number) => ({ address: `127.0.0.1:${port}`, protocol: "http" });

it("come as they happen, and are resumed over a restart without a gap", async () => {
  const live = await follow("/v1/events");
  expect([live.response.statusCode, live.response.headers["content-type"]]).toEqual([200, "text/event-stream"]);
  await gateway.put("/v1/listeners/a", listener(1));
  await expect.poll(live.text).toContain("event: revision");
  await gateway.call("POST", "/v1/tokens", { body: { name: "ci", scopes: ["read"] } });
  await expect.poll(live.text).toContain('make token \\"ci\\"');
  expect(live.text()).not.toContain("first-start");
  const last = ids(live.text()).at(-1) ?? 0;
  live.stop();
  await gateway.put("/v1/listeners/b", listener(2));
  await gateway.kill();
  await gateway.start();
  await gateway.put("/v1/listeners/c", listener(3));
  const resumed = await follow("/v1/events?since=99", { "last-event-id": String(last) });
  await expect.poll(() => ids(resumed.text())).toEqual([last + 1, last + 2]);
  resumed.stop();
  const since = await follow("/v1/events?since=1");
  await expect.poll(() => ids(since.text())).toEqual([last + 1, last + 2]);
  since.stop();
});

it("are refused with ids that are none, and have a head of their own", async () => {
  expect((await gateway.call("GET", "/v1/events", { headers: { "last-event-id": "x" } })).status).toBe(400);
  expect((await gateway.call("GET", "/v1/events?since=-1")).status).toBe(400);
  expect((await gateway.call("HEAD", "/v1/events")).status).toBe(200);
  expect((await gateway.call("GET", "/v1/events", {}, "")).status).toBe(401);
});

it("end when the token that asked for them is revoked", async () => {
  const made = await gateway.call("POST", "/v1/tokens", { body: { name: "watch", scopes: ["read"] } });
  const { token, id } = made.json as { token: string; id: string };
  const watched = await follow("/v1/events", { authorization: `Bearer ${token}` });
  await expect.poll(watched.text).toContain("retry:");
  await gateway.call("DELETE", `/v1/tokens/${id}`);
  await watched.ended;
});

it("are forgotten when their clients go: there is room for the next", async () => {
  for (let round = 0; round < 70; round++) {
    const one = await follow("/v1/events");
    expect(one.response.statusCode).toBe(200);
    one.stop();
    await one.ended;
  }
});

it("don't hold up a shutdown", async () => {
  const open = await follow("/v1/events");
  await expect.poll(open.text).toContain("retry:");
  expect(await gateway.shutdown()).toBe(0);
  await open.ended;
});
