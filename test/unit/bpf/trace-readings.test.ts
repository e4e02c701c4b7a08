/** What the trace program leaves in its maps, read from bytes: sums over CPUs that are negative here and there, and events. */
import { expect, it } from "vitest";
import { parseIp } from "#core/address.ts";
import {
  BUCKETS,
  COUNTS_BYTES,
  EVENT_BYTES,
  readCounts,
  readEvent,
  readHistogram,
} from "#bpf/programs/trace/readings.ts";

it("sums histograms and counts over the CPUs", () => {
  const histogram = Buffer.alloc(2 * (BUCKETS + 2) * 8);
  const word = (cpu: number, at: number, value: bigint): number =>
    histogram.writeBigInt64LE(value, (cpu * (BUCKETS + 2) + at) * 8);
  word(0, 3, 2n);
  word(1, 3, 1n);
  word(1, BUCKETS - 1, 1n);
  word(0, BUCKETS, 10n);
  word(1, BUCKETS, 90_000_000n);
  word(0, BUCKETS + 1, 2n);
  word(1, BUCKETS + 1, 2n);
  const read = readHistogram(histogram);
  expect([read.buckets[3], read.buckets[BUCKETS - 1], read.count, read.sumUs]).toEqual([3, 1, 4, 90_000_010]);

  const counts = Buffer.alloc(2 * COUNTS_BYTES);
  counts.writeBigInt64LE(5n, 0);
  counts.writeBigInt64LE(2n, COUNTS_BYTES);
  // Established on the first CPU, and half of them ended on the second.
  counts.writeBigInt64LE(7n, (5 + 1) * 8);
  counts.writeBigInt64LE(-4n, COUNTS_BYTES + (5 + 1) * 8);
  counts.writeBigInt64LE(-1n, (5 + 9) * 8);
  expect(readCounts(counts)).toEqual({
    opened: 7,
    closed: 0,
    retransmits: 0,
    resetsReceived: 0,
    lost: 0,
    states: { established: 3 },
  });
});

it("reads events, and leaves out what it does not know", () => {
  const record = Buffer.alloc(EVENT_BYTES);
  record.writeBigUInt64LE(42n, 0);
  record.set(parseIp("192.0.2.1"), 8);
  record.set(parseIp("2001:db8::1"), 24);
  record.writeUInt16LE(80, 40);
  record.writeUInt16LE(5000, 42);
  record.writeUInt16LE(3, 44);
  record.set([1, 3, 1], 46);
  record.writeUInt32LE(250, 52);
  const ends = { local: "192.0.2.1:80", remote: "[2001:db8::1]:5000" };
  const states = { from: "syn-received", to: "established" };
  expect(readEvent(record)).toEqual({ bootNs: 42n, listener: 3, kind: "state", ...ends, ...states, us: 250 });
  record.writeUInt8(2, 46);
  record.writeUInt32LE(0, 52);
  expect(readEvent(record)).toEqual({ bootNs: 42n, listener: 3, kind: "retransmit", ...ends });
  record.writeUInt8(200, 46);
  expect(readEvent(record)).toBeNull();
});
