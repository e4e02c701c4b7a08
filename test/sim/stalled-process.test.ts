/** A process that was held for seconds finds several deadlines of one connection passed at once. */
import { expect, test } from "vitest";
import { createFakeDriver } from "#io/fake/driver.ts";
import type { FakePeer } from "#io/fake/peer.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, SUSPEND, type Filter } from "#pipeline/filter.ts";
import { Engine } from "#proxy/engine.ts";
import { testSnapshot } from "#test/support/snapshot.ts";
import { DataPlane } from "#worker/data-plane.ts";
import { PoisonedBuffers } from "./poisoned-buffers.ts";

const ORIGIN = "10.0.0.1:80";
/** More than the network holds for a client that does not read, and not so much that its next request must wait. */
const BODY_BYTES = 400 * 1024;
const MEMORY_BYTES = 8 * 1024 * 1024;

/** Never says what becomes of /never. */
const undecided: Filter = {
  name: "undecided",
  hooks: HOOK_REQUEST_HEAD,
  requestHead: (exchange) => (exchange.request.pathText() === "/never" ? SUSPEND : CONTINUE),
  responseHead: () => CONTINUE,
  end: () => {},
  dispose: () => {},
};

const answers = (peer: FakePeer) => ({
  onData: () => {
    peer.write(Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${BODY_BYTES}\r\n\r\n`));
    peer.write(Buffer.alloc(BODY_BYTES, "a"));
  },
  onEnd: () => peer.end(),
  onReset: () => {},
});

test("a client whose filter and whose reading are late together is not kept for ever", () => {
  const buffers = new PoisonedBuffers(new ArrayBuffer(MEMORY_BYTES));
  const driver = createFakeDriver({ arena: { buffers, address: 0n }, seed: 1 });
  let heldMs = 0;
  const plane = new DataPlane(driver, -1, () => driver.nowMs + heldMs);
  const snapshot = testSnapshot({ endpoints: [ORIGIN], listener: "unix:/simulated" });
  const engine = new Engine(snapshot, [[undecided]], plane.context.endpoints, () => {});
  const fd = driver.listen();
  driver.serve(ORIGIN, answers);
  const grant = { index: 0, name: "web", address: "unix:/simulated", fdTag: 1 };
  const kernel = { originalOf: () => null, leadsTo: () => true, banned: () => false };
  plane.commit(engine, [grant], new Map([[1, fd]]), kernel);
  const turns = (count: number): void => {
    for (let i = 0; i < count; i++) plane.loop.turn(100);
  };

  const client = driver.dial(fd, { onData: () => {}, onEnd: () => {}, onReset: () => {} });
  client.pause();
  client.write(Buffer.from("GET /big HTTP/1.1\r\nhost: a\r\n\r\nGET /never HTTP/1.1\r\nhost: a\r\n\r\n"));
  turns(20);
  expect(plane.counters()).toMatchObject({ exchanges_open: 1, connections_open: 1, outcome_ok: 1 });

  heldMs = 10 * 60_000;
  turns(20);
  expect(plane.counters()).toMatchObject({ exchanges_open: 0, outcome_filter_timeout: 1 });
  turns(3000);
  expect(plane.counters()).toMatchObject({ connections_open: 0 });
});
