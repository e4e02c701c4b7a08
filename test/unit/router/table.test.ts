import { expect, it } from "vitest";
import { type ByteTable, hashByte, TableBuilder } from "#router/table.ts";

function hash(text: string): number {
  let found = 7;
  for (const byte of Buffer.from(text, "latin1")) found = hashByte(found, byte);
  return found;
}

/** The first cell of the record, or −1. */
function find(table: ByteTable, scope: number, text: string): number {
  const memory = Buffer.from(`>>${text}<<`, "latin1");
  const record = table.find(scope, hash(text), memory, 2, memory.length - 2);
  return record < 0 ? -1 : (table.cells[record] ?? -1);
}

it("an empty table has nothing", () => {
  expect(find(new TableBuilder().build(), 0, "")).toBe(-1);
});

it("keys are told apart by bytes, length and scope", () => {
  const builder = new TableBuilder();
  const keys = ["", "a", "ab", "b", "\0", "\xff", "a\0", "x".repeat(70_000)];
  keys.forEach((key, value) => builder.add(1, hash(key), key, [value]));
  builder.add(2, hash("a"), "a", [99]);
  const table = builder.build();
  keys.forEach((key, value) => expect(find(table, 1, key)).toBe(value));
  expect(find(table, 2, "a")).toBe(99);
  expect(find(table, 2, "ab")).toBe(-1);
  expect(find(table, 1, "x".repeat(69_999))).toBe(-1);
});

it("a record keeps its place, has any length, and text may follow it", () => {
  const builder = new TableBuilder();
  const loose = builder.addRecord([1, 2, 3]);
  const keyed = builder.add(0, hash("abcde"), "abcde", [4, 5]);
  builder.addText("tail");
  const { cells, bytes } = builder.build();
  expect([...cells.subarray(loose, loose + 3)]).toEqual([1, 2, 3]);
  expect([...cells.subarray(keyed, keyed + 2)]).toEqual([4, 5]);
  expect(Buffer.from(bytes.subarray(4 * (keyed + 2))).toString()).toBe("tail");
});

it("a table that another is made of stays as it is, and is shared where nothing changes", () => {
  const builder = new TableBuilder();
  const record = builder.add(0, hash("a"), "a", [1]);
  const first = builder.build();
  expect(TableBuilder.from(first).build()).toBe(first);
  const next = TableBuilder.from(first);
  expect(next.find(0, hash("a"), "a")).toBe(record);
  next.set(record, 2);
  for (let i = 0; i < 100; i++) next.add(0, hash(`b${i}`), `b${i}`, [i]);
  next.add(0, hash("b7"), "b7", [70]);
  const second = next.build();
  expect([find(first, 0, "a"), find(first, 0, "b7"), find(second, 0, "a")]).toEqual([1, -1, 2]);
  expect([find(second, 0, "b6"), find(second, 0, "b7"), second.count]).toEqual([6, 70, 101]);
});

it("keys with the same hash stand beside each other", () => {
  const builder = new TableBuilder();
  const keys = ["one", "two", "three"];
  const records = keys.map((key, value) => builder.add(0, 42, key, [value]));
  const table = builder.build();
  const look = (key: string) => table.find(0, 42, Buffer.from(key), 0, key.length);
  expect([...keys, "four"].map(look)).toEqual([...records, -1]);
  const walked: number[] = [];
  for (let slot = table.first(0, 42); slot >= 0; slot = table.next(slot, 0, 42)) {
    walked.push(table.record(table.entry(slot)));
  }
  expect(walked).toEqual(records);
});

it("tells a scope by itself, not only by what it does to the hash", () => {
  const builder = new TableBuilder();
  const mixed = (scope: number) => Math.imul(scope + 1, 0x85ebca6b);
  builder.add(1, 42, "key", [0]);
  // In scope 2 this hash chooses the very slot that 42 chooses in scope 1.
  expect(builder.build().first(2, 42 ^ mixed(1) ^ mixed(2))).toBe(-1);
});

it("finds each of a hundred thousand keys, and none of as many others", () => {
  const builder = new TableBuilder();
  for (let i = 0; i < 100_000; i++) builder.add(i % 3, hash(`tenant-${i}.example.com`), `tenant-${i}.example.com`, [i]);
  const table = builder.build();
  let wrong = 0;
  for (let i = 0; i < 100_000; i++) {
    if (find(table, i % 3, `tenant-${i}.example.com`) !== i) wrong++;
    if (find(table, i % 3, `tenant-${i}.example.org`) !== -1) wrong++;
  }
  expect(wrong).toBe(0);
});
