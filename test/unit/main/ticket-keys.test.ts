import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TICKET_KEY_BYTES } from "#sys/openssl-tickets.ts";
import { TicketKeys } from "#main/supervisor/ticket-keys.ts";

const HOUR_MS = 3_600_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a new key seals each hour, and opens for two more", () => {
  const told: (readonly Uint8Array[])[] = [];
  const keys = new TicketKeys((all) => told.push(all));
  const [first] = keys.all;
  expect(first).toHaveLength(TICKET_KEY_BYTES);
  vi.advanceTimersByTime(2 * HOUR_MS);
  expect(told).toHaveLength(2);
  expect([keys.all, keys.all.length, keys.all[2]]).toEqual([told[1], 3, first]);
  expect(keys.all[1]).toBe(told[0]?.[0]);
  vi.advanceTimersByTime(HOUR_MS);
  expect(keys.all).toHaveLength(3);
  expect(keys.all).not.toContain(first);
  expect(new Set(keys.all.map((key) => Buffer.from(key).toString("hex"))).size).toBe(3);
  keys.stop();
  vi.advanceTimersByTime(HOUR_MS);
  expect(told).toHaveLength(3);
});

test("a gateway that takes over goes on with the keys there are", () => {
  const before = new Uint8Array(TICKET_KEY_BYTES).fill(7);
  const keys = new TicketKeys(() => {}, [before]);
  expect(keys.all).toEqual([before]);
  vi.advanceTimersByTime(HOUR_MS);
  expect(keys.all[1]).toBe(before);
  keys.stop();
});
