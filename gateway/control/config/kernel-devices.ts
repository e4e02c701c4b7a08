/** Programs on network devices, as resources: the schemas, and what follows from one value alone. */
import * as v from "valibot";
import { readPrefix } from "#core/address.ts";
import { fields } from "./fields.ts";
import { choice, integer, list, name, text } from "./primitives.ts";

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

export const CounterSettings = fields("a counter's settings", {
  by: v.optional(choice("by", ["source", "port"]), "source"),
  ipv4Bits: v.optional(integer(0, 32), 32),
  ipv6Bits: v.optional(integer(0, 128), 64),
  entriesMax: v.optional(integer(1, 1_048_576), 16_384),
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
  counter: v.optional(CounterSettings),
});

export type InterfaceResource = v.InferOutput<typeof KernelInterface>;

const LEASE_MS_MIN = 500;
const LEASE_MS_MAX = 60_000;

export const KernelInterceptor = fields("an interceptor", {
  name,
  /** Left out: every device that connections come in by from outside, also those that are made later. */
  devices: v.optional(v.pipe(list(deviceName, 64), v.minLength(1, "name a device, or leave `devices` out for all"))),
  ports: v.pipe(list(integer(1, 65_535), 64), v.minLength(1, "name a port")),
  /** A transparent one. */
  listener: name,
  leaseMs: v.optional(integer(LEASE_MS_MIN, LEASE_MS_MAX), 3000),
});

export const KernelTrace = fields("a trace", {
  /** Of http, tcp or tls-passthrough; also its name here. */
  listener: name,
  /** Responses that take longer are told to who follows. */
  slowMs: v.optional(integer(1, 3_600_000)),
});

export type TraceResource = v.InferOutput<typeof KernelTrace>;

export type InterceptorResource = v.InferOutput<typeof KernelInterceptor>;

export function hasFirewall({ programs }: InterfaceResource): boolean {
  return programs.some((program) => program === "firewall" || program === "blocklist");
}

export function hasCounter({ programs }: InterfaceResource): boolean {
  return programs.includes("packet-counter");
}
