/** Bindings as tables: held against reading the declaration rule by rule, for addresses and ports at every edge. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { isIpv4, parseIp, parsePrefix, prefixContains } from "#core/address.ts";
import type { BindingDeclaration, BindPlace } from "#bpf/programs/bind/declaration.ts";
import { prefixRanges, RANGES_MAX, type PrefixRanges } from "#bpf/programs/bind/ranges.ts";

const BINDING: BindingDeclaration = {
  name: "b",
  listener: 0,
  protocol: "tcp",
  match: [],
  deny: [],
  except: [],
  onFailure: "open",
  leaseMs: 1000,
};
const place = (prefix: string | null, ...ports: (readonly [number, number])[]): BindPlace => ({
  prefix,
  ports: ports.map(([first, last]) => ({ first, last })),
});

/** As the program does: the longest prefix, then the range. */
function looked(tables: readonly PrefixRanges[], protocol: number, ip: Uint8Array, port: number): string {
  const found = tables
    .filter((each) => each.protocol === protocol && covers(each, ip))
    .toSorted((a, b) => b.bits - a.bits)[0];
  const range = found?.ranges.find(({ first, last }) => first <= port && port <= last);
  return range === undefined ? "nothing" : `${range.action} ${range.binding}`;
}

function covers({ ip: prefix, bits }: PrefixRanges, ip: Uint8Array): boolean {
  const bit = (of: Uint8Array, at: number): number => ((of[at >> 3] ?? 0) >> (7 - (at & 7))) & 1;
  for (let at = 0; at < bits; at++) if (bit(prefix, at) !== bit(ip, at)) return false;
  return true;
}

/** As a person reads it: of the rules that hold, the longest prefix; then deny, except, match. */
function read(declarations: readonly BindingDeclaration[], ip: Uint8Array, port: number): string {
  const rules = declarations.flatMap(({ deny, except, match }, binding) =>
    (
      [
        ["deny", deny],
        ["leave", except],
        ["bind", match],
      ] as const
    ).flatMap(([action, places], order) =>
      places.flatMap(({ prefix, ports }) =>
        ports.map(({ first, last }) => ({ action, order, binding, prefix, first, last, length: lengthOf(prefix) })),
      ),
    ),
  );
  const holding = rules
    .filter(({ prefix, first, last }) => first <= port && port <= last && within(prefix, ip))
    .toSorted((a, b) => b.length - a.length || a.order - b.order);
  const best = holding[0];
  return best === undefined ? "nothing" : `${best.action} ${best.binding}`;
}

function lengthOf(prefix: string | null): number {
  if (prefix === null) return 0;
  const { bits } = parsePrefix(prefix);
  return prefix.includes(":") ? bits : bits - 96;
}

function within(prefix: string | null, ip: Uint8Array): boolean {
  if (prefix === null) return true;
  const parsed = parsePrefix(prefix);
  if (isIpv4(ip) !== !prefix.includes(":")) return false;
  return prefixContains(parsed, ip);
}

const PREFIXES = [
  null,
  "10.0.0.0/8",
  "10.1.0.0/16",
  "10.1.2.3",
  "fd00::/8",
  "fd00:1::/32",
  "fd00:1::7",
  "::/0",
  "0.0.0.0/0",
];
const ADDRESSES = ["10.1.2.3", "10.1.9.9", "10.9.9.9", "192.0.2.1", "fd00:1::7", "fd00:2::1", "2001:db8::1"];
const PORTS = Array.from({ length: 17 }, (_, i) => 500 * (i + 1));
const edge = fc.integer({ min: 1, max: 8 }).map((n) => n * 1000);
const portPair = fc.tuple(edge, edge).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const anyPlace = fc
  .tuple(fc.constantFrom(...PREFIXES), fc.array(portPair, { minLength: 1, maxLength: 3 }))
  .map(([prefix, ports]) => place(prefix, ...ports));

it("decide what the declaration says, whatever nests in what", () => {
  const one = fc.record({
    match: fc.array(anyPlace, { maxLength: 3 }),
    deny: fc.array(anyPlace, { maxLength: 2 }),
    except: fc.array(anyPlace, { maxLength: 2 }),
  });
  fc.assert(
    fc.property(one, (lists) => {
      const declarations = [{ ...BINDING, ...lists }];
      const tables = prefixRanges(declarations.map((declaration, slot) => ({ declaration, slot })));
      const asked = ADDRESSES.flatMap((text) => PORTS.map((port) => ({ text, port, ip: parseIp(text) })));
      const answers = asked.map(({ text, port, ip }) => `${text} ${port} ${looked(tables, 6, ip, port)}`);
      expect(answers).toEqual(asked.map(({ text, port, ip }) => `${text} ${port} ${read(declarations, ip, port)}`));
      expect(looked(tables, 17, parseIp("10.1.2.3"), 2000)).toBe("nothing");
      for (const { ranges } of tables) {
        const ends = ranges.flatMap(({ first, last }) => [first, last]);
        expect(ends).toEqual(ends.toSorted((a, b) => a - b));
      }
    }),
  );
});

it("keep bindings apart, and let a longer prefix give a port to another of them", () => {
  const web = { ...BINDING, match: [place("10.0.0.0/8", [80, 90])] };
  const own = { ...BINDING, name: "own", match: [place("10.1.0.0/16", [85, 85])] };
  const tables = prefixRanges([web, own].map((declaration, slot) => ({ declaration, slot })));
  const at = (ip: string, port: number): string => looked(tables, 6, parseIp(ip), port);
  expect([at("10.0.0.1", 85), at("10.1.0.1", 85), at("10.1.0.1", 84)]).toEqual(["bind 0", "bind 1", "bind 0"]);
  expect(tables).toHaveLength(2);
});

it("refuse more ranges than a prefix has room for, and say how many there are", () => {
  const ports = Array.from({ length: RANGES_MAX + 1 }, (_, i) => [i * 2 + 1, i * 2 + 1] as const);
  const declaration = { ...BINDING, match: [place("10.0.0.0/8", ...ports)] };
  expect(() => prefixRanges([{ declaration, slot: 0 }])).toThrow(/65 ranges of ports for one prefix/);
  expect(
    prefixRanges([{ declaration: { ...declaration, match: [place("10.0.0.0/8", ...ports.slice(1))] }, slot: 0 }]),
  ).toHaveLength(1);
});
