/** Connections counted by several workers in one memory. */
import { expect, test } from "vitest";
import { ClientConnections } from "#proxy/client-connections.ts";
import { ConnectionCounts, connectionCountsBytes } from "#proxy/connection-counts.ts";
import { SETTINGS as settings } from "#test/support/snapshot.ts";

function workers(count: number): { counts: ConnectionCounts[]; clients: ClientConnections[] } {
  const words = new Int32Array(connectionCountsBytes(count) / 4);
  const counts = Array.from({ length: count }, (_, i) => new ConnectionCounts(words, count, i, 12345));
  return { counts, clients: counts.map((one) => new ClientConnections(one)) };
}

test("a cap of all holds over the workers, and a connection that goes makes room for another anywhere", () => {
  const { clients } = workers(3);
  const capped = { ...settings, connectionsMax: 4 };
  const admitted = Array.from({ length: 9 }, (_, i) => clients[i % 3]?.admit(`10.0.0.${i}`, capped));
  expect(admitted.filter(Boolean)).toHaveLength(4);
  clients[0]?.left("10.0.0.0");
  expect([clients[2]?.admit("10.0.1.1", capped), clients[1]?.admit("10.0.1.2", capped)]).toEqual([true, false]);
});

test("a client's cap holds over the workers, and is no other client's", () => {
  const { clients } = workers(2);
  const capped = { ...settings, connectionsPerClientMax: 3 };
  const admit = (worker: number, client: string): boolean | undefined => clients[worker]?.admit(client, capped);
  expect([0, 1, 0, 1, 0].map((worker) => admit(worker, "10.0.0.1"))).toEqual([true, true, true, false, false]);
  for (let i = 0; i < 2000; i++) expect(admit(i % 2, `2001:db8::${i.toString(16)}`)).toBe(true);
  expect(admit(0, "10.0.0.1")).toBe(false);
  clients[1]?.left("10.0.0.1");
  expect(admit(0, "10.0.0.1")).toBe(true);
  // A Unix socket's clients have no address to tell them apart by.
  for (let i = 0; i < 10; i++) expect(admit(0, "")).toBe(true);
});

test("what a dead worker held is void", () => {
  const { counts, clients } = workers(2);
  for (let i = 0; i < 5; i++) clients[1]?.admit("10.0.0.1", settings);
  expect([clients[0]?.all, counts[0]?.elsewhere("10.0.0.1")]).toEqual([5, 5]);
  counts[0]?.clear(1);
  expect([clients[0]?.all, counts[0]?.elsewhere("10.0.0.1")]).toEqual([0, 0]);
});
