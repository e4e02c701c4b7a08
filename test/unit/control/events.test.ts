import { expect, it } from "vitest";
import type { AuditRow } from "#control/audit-chain.ts";
import { Events } from "#control/events.ts";
import type { GatewayStatus } from "#control/gateway-status.ts";

const row = (number: number, revision = number): AuditRow => ({
  number,
  atMs: 5,
  who: "me",
  what: "put\nit",
  subject: "",
  revision,
  outcome: "done",
  reason: "",
  hash: "secret",
});

const quiet = { debug() {}, info() {}, warn() {}, error() {} };

function setUp(rows: AuditRow[] = [], heartbeatMs = 10_000, workersMs = 10_000) {
  const state = { rows, restarts: 0, asked: 0 };
  const events = new Events(
    {
      auditRows: (after, limit) => state.rows.filter(({ number }) => number > after).slice(0, limit),
      status: async () => {
        state.asked++;
        const worker = { worker: 0, pid: 1, state: "ready", revision: 1, restarts: state.restarts, driver: "epoll" };
        return { workers: [worker] } as unknown as GatewayStatus;
      },
    },
    quiet as never,
    { heartbeatMs, workersMs },
  );
  const listen = (after: number, allowed = () => true) => {
    const reader = events.listen(after, allowed)?.getReader();
    if (reader === undefined) throw new Error("not listening");
    const read = async () => {
      const { value } = await reader.read();
      return value === undefined ? undefined : new TextDecoder().decode(value);
    };
    return { read, cancel: () => reader.cancel() };
  };
  return { events, state, listen };
}

it("tells what was missed and then what comes, with ids", async () => {
  const { events, state, listen } = setUp([row(1), row(2, 0)]);
  const { read, cancel } = listen(0);
  const json = JSON.stringify({ ...row(1), hash: undefined });
  const first = await read();
  expect(first).toMatch(/^retry: 1000\n\nid: 1\nevent: revision\ndata: .*\n\nid: 2\nevent: change\ndata: .*\n\n$/);
  expect(first).toContain(`data: ${json}\n\n`);
  expect(first).not.toContain("secret");
  const next = read();
  state.rows.push(row(3));
  events.changed();
  expect(await next).toContain("id: 3\n");
  await cancel();
  const resumed = listen(2);
  expect(await resumed.read()).toMatch(/^retry: 1000\n\nid: 3\n/);
  await resumed.cancel();
});

it("tells long histories in parts", async () => {
  const { listen } = setUp(Array.from({ length: 250 }, (_, index) => row(index + 1)));
  const { read, cancel } = listen(0);
  const counts = [];
  for (let part = 0; part < 3; part++) counts.push((await read())?.match(/^id: /gm)?.length);
  expect(counts).toEqual([100, 100, 50]);
  await cancel();
});

it("shows that it lives when nothing happens", async () => {
  const { listen } = setUp([], 5);
  const { read, cancel } = listen(0);
  expect([await read(), await read()]).toEqual(["retry: 1000\n\n", ": heartbeat\n\n"]);
  await cancel();
});

it("tells of workers, and asks about them only while somebody listens", async () => {
  const { state, listen } = setUp([], 10_000, 5);
  const { read, cancel } = listen(0);
  await read();
  await expect.poll(() => state.asked).toBeGreaterThan(1);
  state.restarts = 1;
  expect(await read()).toBe('event: worker\ndata: {"worker":0,"pid":1,"state":"ready","restarts":1}\n\n');
  await cancel();
  const { asked } = state;
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(state.asked).toBe(asked);
});

it("ends when its listener is not allowed any more, and all end on close", async () => {
  const { events, listen } = setUp();
  let allowed = true;
  const revoked = listen(0, () => allowed);
  const other = listen(0);
  await revoked.read();
  await other.read();
  const ends = revoked.read();
  allowed = false;
  events.changed();
  expect(await ends).toBeUndefined();
  const closes = other.read();
  events.close();
  expect(await closes).toBeUndefined();
  expect(events.listen(0, () => true)).toBeUndefined();
});

it("has an end to its listeners", async () => {
  const { events } = setUp();
  const streams = Array.from({ length: 64 }, () => events.listen(0, () => true));
  expect(events.listen(0, () => true)).toBeUndefined();
  await streams[0]?.cancel();
  const again = events.listen(0, () => true);
  expect(again).toBeDefined();
  for (const stream of [...streams.slice(1), again]) await stream?.cancel();
});
