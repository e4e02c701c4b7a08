/**
 * Bindings as the program looks them up: for each prefix that anyone names, all that is decided for it, shorter prefixes
 * included, as ranges of ports that do not overlap. The program then needs one lookup of the longest prefix and a search
 * by halves, however the declaration nests. Pure.
 *
 *     match 10.0.0.0/8 ports 80-90        10.0.0.0/8    80-90 bind
 *     deny  10.1.0.0/16 port 85           10.1.0.0/16   80-84 bind, 85 deny, 86-90 bind
 */
import { readPrefix } from "#core/address.ts";
import { bpfError } from "#core/errors/bpf.ts";
import type { BindingDeclaration, BindPlace } from "./declaration.ts";

/** struct bind_range: by the names of bind_consts.h. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
  /** Index of the binding in the kernel's tables. */
  readonly binding: number;
  readonly action: Action;
  readonly closed: boolean;
}

export type Action = "bind" | "deny" | "leave";

export interface PrefixRanges {
  /** IPPROTO_TCP or IPPROTO_UDP. */
  readonly protocol: number;
  /** 16 bytes, IPv4 mapped. */
  readonly ip: Uint8Array;
  /** Of those 128. */
  readonly bits: number;
  /** Sorted. Empty: nothing is decided here, which hides what shorter prefixes decide. */
  readonly ranges: readonly PortRange[];
}

/** A binding with its place in the kernel's tables. */
export interface PlacedBinding {
  readonly declaration: BindingDeclaration;
  readonly slot: number;
}

// linux/in.h
const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** As many as struct bind_ranges has room for. */
export const RANGES_MAX = 64;

interface Rule extends PortRange {
  readonly protocol: number;
  readonly prefix: Prefix;
}

interface Prefix {
  readonly ip: Uint8Array;
  readonly bits: number;
  readonly v4: boolean;
}

const EVERY_V6: Prefix = { ip: new Uint8Array(16), bits: 0, v4: false };
const EVERY_V4: Prefix = { ip: mapped(), bits: 96, v4: true };
/** Of rules for the same prefix the first decides: what refuses before what lets alone before what binds. */
const ORDER: readonly Action[] = ["deny", "leave", "bind"];

/** Throws PENSTOCK_BPF_BINDING: no prefix, or more ranges than a prefix has room for. */
export function prefixRanges(bindings: readonly PlacedBinding[]): PrefixRanges[] {
  const rules = bindings.flatMap(rulesOf);
  const named = new Map<string, Pick<Rule, "protocol" | "prefix">>();
  for (const { protocol, prefix } of rules) {
    named.set(keyOf(protocol, prefix), { protocol, prefix });
    // A short prefix of IPv6 holds all of mapped IPv4 too, in the trie's eyes only.
    if (!prefix.v4 && holds(prefix, EVERY_V4)) {
      named.set(keyOf(protocol, EVERY_V4), { protocol, prefix: EVERY_V4 });
    }
  }
  return Array.from(named.values(), ({ protocol, prefix }) => ({
    protocol,
    ip: prefix.ip,
    bits: prefix.bits,
    ranges: flatten(rules, protocol, prefix),
  }));
}

function rulesOf({ declaration, slot: binding }: PlacedBinding): Rule[] {
  const { match, deny, except, onFailure } = declaration;
  const [closed, protocol] = [onFailure === "closed", PROTOCOL[declaration.protocol]];
  const of = (action: Action, places: readonly BindPlace[]): Rule[] =>
    places.flatMap((place) =>
      prefixesOf(place, declaration.name).flatMap((prefix) =>
        place.ports.map(({ first, last }) => ({ protocol, prefix, first, last, binding, action, closed })),
      ),
    );
  return [...of("deny", deny), ...of("leave", except), ...of("bind", match)];
}

function prefixesOf({ prefix }: BindPlace, binding: string): Prefix[] {
  if (prefix === null) return [EVERY_V4, EVERY_V6];
  const read = readPrefix(prefix);
  if (typeof read === "string") {
    throw bpfError("PENSTOCK_BPF_BINDING", { detail: `binding ${binding}: ${JSON.stringify(prefix)}: ${read}` });
  }
  return [{ ...read, v4: read.bits >= EVERY_V4.bits && holds(EVERY_V4, read) }];
}

/** What is decided for all ports of one prefix. Every boundary of a rule that holds it begins a range. */
function flatten(rules: readonly Rule[], protocol: number, prefix: Prefix): PortRange[] {
  const holding = rules
    .filter((rule) => rule.protocol === protocol && rule.prefix.v4 === prefix.v4 && holds(rule.prefix, prefix))
    .toSorted(
      (a, b) =>
        b.prefix.bits - a.prefix.bits ||
        ORDER.indexOf(a.action) - ORDER.indexOf(b.action) ||
        a.last - a.first - (b.last - b.first),
    );
  const starts = new Set(holding.flatMap(({ first, last }) => [first, last + 1]));
  const ranges: PortRange[] = [];
  const boundaries = [...starts].toSorted((a, b) => a - b);
  for (const [i, first] of boundaries.entries()) {
    const rule = holding.find((each) => each.first <= first && first <= each.last);
    const next = boundaries[i + 1];
    if (rule === undefined || next === undefined) continue;
    const { binding, action, closed } = rule;
    const before = ranges.at(-1);
    const goesOn =
      before !== undefined &&
      before.last === first - 1 &&
      before.binding === binding &&
      before.action === action &&
      before.closed === closed;
    if (goesOn) ranges.pop();
    ranges.push({ first: goesOn ? before.first : first, last: next - 1, binding, action, closed });
  }
  if (ranges.length > RANGES_MAX) {
    throw bpfError("PENSTOCK_BPF_BINDING", {
      detail: `${ranges.length} ranges of ports for one prefix, and there is room for ${RANGES_MAX}; join some of them`,
    });
  }
  return ranges;
}

function holds(outer: Pick<Prefix, "ip" | "bits">, inner: Pick<Prefix, "ip" | "bits">): boolean {
  if (outer.bits > inner.bits) return false;
  for (let bit = 0; bit < outer.bits; bit += 8) {
    const mask = outer.bits - bit >= 8 ? 0xff : (0xff00 >> (outer.bits - bit)) & 0xff;
    if ((((outer.ip[bit >> 3] ?? 0) ^ (inner.ip[bit >> 3] ?? 0)) & mask) !== 0) return false;
  }
  return true;
}

function keyOf(protocol: number, { ip, bits }: Prefix): string {
  return `${protocol} ${Buffer.from(ip).toString("hex")}/${bits}`;
}

/** ::ffff:0.0.0.0 */
function mapped(): Uint8Array {
  const ip = new Uint8Array(16);
  ip.fill(0xff, 10, 12);
  return ip;
}
