import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { ServiceDeclaration } from "#bpf/programs/balancer/declaration.ts";
import * as layout from "#bpf/programs/balancer/layout.ts";
import { NO_SERVICES, planServices, withHealth, type ServiceTables } from "#bpf/programs/balancer/tables.ts";
import { checkFamilies, endpointValue, networkOrder, ringText, serviceValue } from "#bpf/programs/balancer/values.ts";

const CONSTS = path.join(import.meta.dirname, "../../../bpf/src/balancer_consts.h");

function service(name: string, change: Partial<ServiceDeclaration> = {}): ServiceDeclaration {
  return {
    name,
    address: "10.0.0.10",
    port: 53,
    protocol: "udp",
    mode: "dsr",
    devices: ["eth0"],
    flowTimeoutMs: 1000,
    endpoints: ["10.0.1.1", "10.0.1.2"].map((address) => ({ address, port: 53, weight: 1, drain: false })),
    ...change,
  };
}

const own = (): string => "10.0.0.1";
const plan = (before: ServiceTables, ...services: ServiceDeclaration[]): ServiceTables =>
  planServices(before, services, own);
const places = (tables: ServiceTables): string[] =>
  tables.services.flatMap(({ index, endpoints }) =>
    endpoints.map((each) => `${index} ${each.index} ${each.name} g${each.generation}`),
  );

describe("numbers shared with the program", () => {
  const consts = new Map(
    Array.from(fs.readFileSync(CONSTS, "utf8").matchAll(/^#define (\w+) (\d+)$/gm), ([, name, value]) => [
      name,
      Number(value),
    ]),
  );

  it.each([
    ["RING_SLOTS", layout.RING_SLOTS],
    ["SERVICES_MAX", layout.SERVICES_MAX],
    ["ENDPOINTS_MAX", layout.ENDPOINTS_MAX],
    ["MODE_DSR", layout.MODE.dsr],
    ["MODE_NAT", layout.MODE.nat],
    ["STATE_NONE", layout.STATE.none],
    ["STATE_ACTIVE", layout.STATE.active],
    ["STATE_DRAINING", layout.STATE.draining],
    ["REASONS_MAX", layout.BALANCER_REASONS.length],
  ])("%s is %i", (name, value) => expect(consts.get(name)).toBe(value));
});

describe("places in the tables", () => {
  const first = plan(NO_SERVICES, service("dns"));

  it("begin at 1, since 0 is nobody", () => {
    expect(places(first)).toEqual(["1 1 10.0.1.1:53 g1", "1 2 10.0.1.2:53 g2"]);
  });

  it("stay for what stays, under another name and with another weight too", () => {
    const [one] = service("dns").endpoints;
    const next = plan(first, service("names", { endpoints: one === undefined ? [] : [{ ...one, weight: 7 }] }));
    expect(places(next)).toEqual(["1 1 10.0.1.1:53 g1"]);
  });

  it("are given again, but never with a generation that was there before", () => {
    const gone = plan(first, service("dns", { endpoints: [] }));
    expect(places(plan(gone, service("dns")))).toEqual(["1 1 10.0.1.1:53 g3", "1 2 10.0.1.2:53 g4"]);
  });

  it("are others for another source, by which answers come back", () => {
    const next = plan(first, service("dns", { source: "10.9.9.9" }));
    expect(places(next)).toEqual(["1 1 10.0.1.1:53 g3", "1 2 10.0.1.2:53 g4"]);
  });

  it("hold two services and the devices of both", () => {
    const both = plan(first, service("dns"), service("web", { port: 80, protocol: "tcp", devices: ["eth1", "eth0"] }));
    expect(both.services.map(({ index }) => index)).toEqual([1, 2]);
    expect(both.devices).toEqual(["eth0", "eth1"]);
    // The other device keeps its bit when the first goes, and the next one gets what is free.
    const one = plan(both, service("web", { port: 80, protocol: "tcp", devices: ["eth1"] }));
    expect(one.devices).toEqual([undefined, "eth1"]);
    expect(plan(one, service("web", { port: 80, protocol: "tcp", devices: ["eth1", "eth2"] })).devices).toEqual([
      "eth2",
      "eth1",
    ]);
  });

  it.each([
    ["one address twice", [service("a"), service("b")], /two services of 10\.0\.0\.10:53\/udp/],
    [
      "one endpoint twice",
      [service("a", { endpoints: [...service("a").endpoints, ...service("a").endpoints] })],
      /two endpoints of 10\.0\.1\.1:53/,
    ],
    [
      "more endpoints than places",
      [
        service("a", {
          endpoints: Array.from({ length: layout.ENDPOINTS_MAX }, (_, i) => ({
            address: `10.1.${i >> 8}.${i & 255}`,
            port: 53,
            weight: 1,
            drain: false,
          })),
        }),
      ],
      /more than 4095 endpoints/,
    ],
    ["too many devices", [service("a", { devices: Array.from({ length: 65 }, (_, i) => `e${i}`) })], /more than 64/],
  ])("refuse %s", (_, services, message) => {
    expect(() => planServices(NO_SERVICES, services, own)).toThrow(message);
  });
});

describe("health", () => {
  const tables = plan(NO_SERVICES, service("dns"));

  it("makes another generation of who died, and again of who is back", () => {
    const dead = withHealth(tables, "dns", "10.0.1.1:53", false) ?? tables;
    expect(places(dead)).toEqual(["1 1 10.0.1.1:53 g3", "1 2 10.0.1.2:53 g2"]);
    const back = withHealth(dead, "dns", "10.0.1.1:53", true) ?? tables;
    expect(places(back)).toEqual(["1 1 10.0.1.1:53 g4", "1 2 10.0.1.2:53 g2"]);
    expect(ringText(back.services[0] ?? neverHere())).toBe(ringText(tables.services[0] ?? neverHere()));
  });

  it("says when nothing changes", () => {
    expect(withHealth(tables, "dns", "10.0.1.1:53", true)).toBeNull();
    expect(withHealth(tables, "dns", "10.0.1.9:53", false)).toBeNull();
    expect(withHealth(tables, "web", "10.0.1.1:53", false)).toBeNull();
  });
});

describe("values", () => {
  const of = (change: Partial<ServiceDeclaration>) =>
    plan(NO_SERVICES, service("dns", change)).services[0] ?? neverHere();

  it("are in network order where the program compares them with packets", () => {
    expect(networkOrder(0x1234)).toBe(0x3412);
    expect(serviceValue(of({}), ["eth0"])).toMatchObject({ port: 0x3500, protocol: 17, mode: 0, devices: 1n });
  });

  it("fill in the bits behind a prefix", () => {
    const dns = of({ source: "172.16.0.0/16" });
    // 0.0.255.255 as it stands in memory, read by a little-endian machine.
    expect(endpointValue(dns, dns.endpoints[0] ?? neverHere(), 1)).toMatchObject({ source_mask: 0xffff0000 });
  });

  it.each([
    ["nat from one family to the other", { mode: "nat", address: "fd00::9" }, /another family/],
    ["a source of another family", { source: "fd00::1" }, /another family/],
  ] as const)("refuse %s", (_, change, message) => {
    expect(() => checkFamilies(of(change))).toThrow(message);
  });
});

function neverHere(): never {
  throw new Error("there is one");
}
