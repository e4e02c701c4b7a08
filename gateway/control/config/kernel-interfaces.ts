/** Programs on network devices: what can be declared of them, what must agree, and how the snapshot says it. */
import * as v from "valibot";
import { readPrefix } from "#core/address.ts";
import type { CounterSpec, FirewallSpec, InterfaceSpec } from "#snapshot/snapshot.ts";
import type { Draft, Entry } from "./draft.ts";
import { fields } from "./fields.ts";
import { choice, integer, list, name, text } from "./primitives.ts";
import type { Report } from "./references.ts";

const PACKETS_PER_SECOND_MAX = 10_000_000;
/** As many limits as the program has buckets for. */
const LIMITS_MAX = 1024;
/** Series in /metrics, for each device. */
const TOP_MAX = 100;

export const deviceName = v.pipe(
  text,
  v.regex(/^[^\s/:]{1,15}$/, "a device is named as `ip link` names it, at most 15 characters"),
);

/** Held against the source's address: of several that hold it, the longest decides alone. */
const limitPrefix = v.pipe(
  text,
  v.check(
    (value) => value === "default" || typeof readPrefix(value) !== "string",
    ({ input }) =>
      `${JSON.stringify(input)} is neither "default" nor a prefix such as 203.0.113.0/24: ${String(readPrefix(input))}`,
  ),
);

const Limit = fields("a limit", {
  prefix: limitPrefix,
  packetsPerSecond: integer(1, PACKETS_PER_SECOND_MAX),
  /** Left out: what a second brings. */
  burst: v.optional(integer(1, PACKETS_PER_SECOND_MAX)),
  /** One bucket for the prefix, or one for each source in it (an IPv4 address, an IPv6 /64). */
  each: v.optional(choice("each", ["prefix", "source"]), "prefix"),
});

const Counter = fields("a counter's settings", {
  by: v.optional(choice("by", ["source", "port"]), "source"),
  ipv4Bits: v.optional(integer(0, 32), 32),
  ipv6Bits: v.optional(integer(0, 128), 64),
  entriesMax: v.optional(integer(1, 1_048_576), 65_536),
  /** How many of the largest /metrics shows. */
  top: v.optional(integer(0, TOP_MAX), 10),
  hook: v.optional(choice("hook", ["xdp", "tcx"]), "xdp"),
});

export const KernelInterface = fields("an interface", {
  device: deviceName,
  mode: v.optional(choice("mode", ["auto", "native", "generic"], ["offload"]), "auto"),
  /** `blocklist` is the contract's name of the `firewall` program. */
  programs: v.pipe(
    list(choice("program", ["blocklist", "firewall", "packet-counter"], ["balancer"]), 8),
    v.minLength(1, "name a program, or remove the interface"),
  ),
  /** The firewall's map of denied prefixes. */
  blocklist: v.optional(name, "blocklist"),
  /** Its map of prefixes that are never dropped. */
  allowlist: v.optional(name),
  limits: v.optional(list(Limit, LIMITS_MAX), []),
  synCookies: v.optional(fields("SYN cookies", { synsPerSecond: integer(1, PACKETS_PER_SECOND_MAX) })),
  counter: v.optional(Counter),
});

export type InterfaceResource = v.InferOutput<typeof KernelInterface>;

export function hasFirewall({ programs }: InterfaceResource): boolean {
  return programs.some((program) => program === "firewall" || program === "blocklist");
}

function hasCounter({ programs }: InterfaceResource): boolean {
  return programs.includes("packet-counter");
}

/** That settings have their program, that maps fit, that no prefix is limited twice. */
export function checkInterfaces(draft: Draft, report: Report): void {
  for (const entry of draft.interfaces) {
    const { pointer, value } = entry;
    checkPrograms(entry, report);
    if (hasFirewall(value)) {
      checkPrefixes(`${pointer}/blocklist`, value.blocklist, draft, report);
      if (value.allowlist !== undefined) checkPrefixes(`${pointer}/allowlist`, value.allowlist, draft, report);
    } else {
      const settings = { allowlist: value.allowlist, synCookies: value.synCookies, limits: value.limits[0] };
      for (const [field, given] of Object.entries(settings)) {
        if (given === undefined) continue;
        report(`${pointer}/${field}`, "PENSTOCK_CONFIG_VALUE", "this is the firewall's: name `firewall` in `programs`");
      }
    }
    if (value.counter !== undefined && !hasCounter(value)) {
      const detail = "these are the packet counter's: name `packet-counter` in `programs`";
      report(`${pointer}/counter`, "PENSTOCK_CONFIG_VALUE", detail);
    }
    checkLimits(entry, report);
  }
}

function checkPrograms({ pointer, value }: Entry<InterfaceResource>, report: Report): void {
  const seen = new Set<string>();
  for (const [index, program] of value.programs.entries()) {
    const one = program === "blocklist" ? "firewall" : program;
    if (seen.has(one)) {
      const detail = program === one ? `${one} is named twice` : "blocklist is another name of firewall";
      report(`${pointer}/programs/${index}`, "PENSTOCK_CONFIG_DUPLICATE", detail);
    }
    seen.add(one);
  }
}

function checkLimits({ pointer, value }: Entry<InterfaceResource>, report: Report): void {
  const seen = new Set<string>();
  for (const [index, { prefix }] of value.limits.entries()) {
    const read = readPrefix(prefix);
    const key = typeof read === "string" ? prefix : `${Buffer.from(read.ip).toString("hex")}/${read.bits}`;
    if (seen.has(key))
      report(`${pointer}/limits/${index}/prefix`, "PENSTOCK_CONFIG_DUPLICATE", `${prefix} is limited twice`);
    seen.add(key);
  }
}

/** That there is such a map is `references.ts`' business. */
function checkPrefixes(pointer: string, name: string, draft: Draft, report: Report): void {
  const map = draft.maps.find((one) => one.value.name === name);
  if (map === undefined || (map.value.type === "lpm-trie" && map.value.value === "expiry")) return;
  const detail = `the firewall needs a map of type lpm-trie with value expiry; "${name}" at ${map.pointer} is ${map.value.type} with ${map.value.value}`;
  report(pointer, "PENSTOCK_CONFIG_REFERENCE", detail);
}

/** `mapAt`: the index of a map that was checked to be there. */
export function compileInterface(one: InterfaceResource, mapAt: (name: string) => number): InterfaceSpec {
  const { device, mode } = one;
  return {
    device,
    mode,
    ...(hasFirewall(one) ? { firewall: compileFirewall(one, mapAt) } : {}),
    ...(hasCounter(one) ? { counter: compileCounter(one) } : {}),
  };
}

function compileFirewall(one: InterfaceResource, mapAt: (name: string) => number): FirewallSpec {
  return {
    blocklist: mapAt(one.blocklist),
    ...(one.allowlist === undefined ? {} : { allowlist: mapAt(one.allowlist) }),
    limits: one.limits.map(({ prefix, packetsPerSecond, burst = packetsPerSecond, each }) => ({
      prefix,
      packetsPerSecond,
      burst,
      each,
    })),
    synsPerSecond: one.synCookies?.synsPerSecond ?? 0,
  };
}

function compileCounter(one: InterfaceResource): CounterSpec {
  return one.counter ?? v.parse(Counter, {});
}
