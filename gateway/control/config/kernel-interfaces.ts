/** Programs on network devices: what must agree in their declarations, and how the snapshot says them. */
import * as v from "valibot";
import { readPrefix } from "#core/address.ts";
import type { CounterSpec, FirewallSpec, InterceptorSpec, InterfaceSpec, TraceSpec } from "#snapshot/kernel.ts";
import type { Draft, Entry } from "./draft.ts";
import {
  CounterSettings,
  hasCounter,
  hasFirewall,
  type InterceptorResource,
  type InterfaceResource,
  type TraceResource,
} from "./kernel-devices.ts";
import type { Report } from "./references.ts";

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
  return one.counter ?? v.parse(CounterSettings, {});
}

/** A port of a device is diverted to one listener. Interceptors of all devices stand on each. */
export function checkInterceptors(draft: Draft, report: Report): void {
  const taken: { readonly device: string | null; readonly port: number; readonly pointer: string }[] = [];
  for (const { pointer, value } of draft.interceptors) {
    const devices = value.devices ?? [null];
    for (const [index, port] of value.ports.entries()) {
      const place = `${pointer}/ports/${index}`;
      const other = taken.find(
        (one) =>
          one.port === port && devices.some((each) => each === null || one.device === null || each === one.device),
      );
      if (other !== undefined)
        report(place, "PENSTOCK_CONFIG_DUPLICATE", `port ${port} is intercepted at ${other.pointer} already`);
      for (const device of devices) taken.push({ device, port, pointer: place });
    }
  }
}

/** Nothing where there is none: the snapshot of a declaration without them stays what it was. */
export function compileInterceptors(
  interceptors: readonly InterceptorResource[],
  listenerAt: (name: string) => number,
): { readonly interceptors?: readonly InterceptorSpec[] } {
  if (interceptors.length === 0) return {};
  return {
    interceptors: interceptors.map(({ name, devices = [], ports, listener, leaseMs }) => ({
      name,
      devices: [...devices],
      ports: [...ports],
      listener: listenerAt(listener),
      leaseMs,
    })),
  };
}

/** Nothing where there is none, as above. */
export function compileTraces(
  traces: readonly TraceResource[],
  listenerAt: (name: string) => number,
): { readonly traces?: readonly TraceSpec[] } {
  if (traces.length === 0) return {};
  return {
    traces: traces.map(({ listener, slowMs }) => ({
      listener: listenerAt(listener),
      ...(slowMs === undefined ? {} : { slowMs }),
    })),
  };
}
