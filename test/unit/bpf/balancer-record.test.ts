/** What the next process reads of the balancer's tables: the same places, or nothing. */
import { expect, it } from "vitest";
import { decodeRecord, encodeRecord } from "#bpf/programs/balancer/record.ts";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import { NO_SERVICES, planServices } from "#bpf/programs/balancer/tables.ts";

const service = (port: number, endpoints: number): ServiceDeclaration => ({
  name: `s${port}`,
  address: "10.0.0.10",
  port,
  protocol: "udp",
  mode: "nat",
  devices: ["eth0", "eth1"],
  flowTimeoutMs: 1000,
  endpoints: Array.from({ length: endpoints }, (_, i) => ({
    address: `10.${port}.${i >> 8}.${i & 255}`,
    port: 53,
    weight: 1,
    drain: false,
  })),
});

it("is what was written, holes among the devices too, at any size there may be", () => {
  const all = Array.from({ length: 16 }, (_, i) => service(i + 1, 250));
  const tables = planServices(NO_SERVICES, all, () => "10.0.0.1");
  const holes = { ...tables, devices: [undefined, "eth0", undefined, "eth1"] };
  expect(decodeRecord(encodeRecord(holes))).toEqual(holes);
  const more = planServices(decodeRecord(encodeRecord(tables)) ?? NO_SERVICES, all.toReversed(), () => "10.0.0.1");
  expect(more.generation).toBe(tables.generation);
});

it("is nothing when it is empty, cut off, of another version, or no record at all", () => {
  const tables = planServices(NO_SERVICES, [service(1, 2)], () => "10.0.0.1");
  const good = encodeRecord(tables);
  const cut = Buffer.from(good);
  cut.fill(0, 40);
  const long = Buffer.from(good);
  long.writeUInt32LE(0xffffffff, 0);
  for (const bad of [Buffer.alloc(good.length), cut, long, Buffer.alloc(good.length, 0x5a)]) {
    expect(decodeRecord(bad)).toBeNull();
  }
});
