/** L4 services in XDP: what must agree in their declarations, and how the snapshot says them. */
import { isIpv4, parseIp, readAddress, readIp, readPrefix } from "#core/address.ts";
import type { ServiceCheckSpec, ServiceSpec } from "#snapshot/kernel.ts";
import type { Draft, Entry } from "./draft.ts";
import type { Report } from "./references.ts";
import type { ServiceResource } from "./service-resources.ts";

/** A name system's answer is there within seconds: the usual time in which NAT forgets UDP (RFC 4787, REQ-5). */
const UDP_FLOW_MS = 30_000;
/** RFC 5382, REQ-5: an idle connection is remembered for 2 hours and 4 minutes. */
const TCP_FLOW_MS = 7_440_000;

interface Place {
  readonly address: string;
  readonly port: number;
}

/** `10.0.0.1:53`, `[fd00::1]:53`; words when it is neither. */
function readPlace(given: string): Place | string {
  const socket = readAddress(given);
  if (typeof socket === "string") return socket;
  const end = given.lastIndexOf(":");
  const port = Number(given.slice(end + 1));
  if (given.startsWith("unix:") || port === 0) return "a service needs an IP address and a port";
  return { address: given.slice(0, end).replace(/^\[(.*)\]$/, "$1"), port };
}

function readService(given: string): (Place & { readonly protocol: "tcp" | "udp" }) | string {
  const [, place = "", protocol] = /^(.*)\/(tcp|udp)$/.exec(given) ?? [];
  if (protocol !== "tcp" && protocol !== "udp") return "write address, port and protocol: 10.0.0.10:53/udp";
  const read = readPlace(place);
  return typeof read === "string" ? read : { ...read, protocol };
}

/** An endpoint without a port listens on the service's. */
function readEndpoint(given: string, port: number): Place | string {
  return typeof readIp(given) === "string" ? readPlace(given) : { address: given, port };
}

/** Addresses that are none, or are there twice; families that the mode can't bridge; no device at all. */
export function checkServices(draft: Draft, report: Report): void {
  const taken = new Map<string, string>();
  for (const entry of draft.services) {
    const { pointer, value } = entry;
    const read = readService(value.address);
    if (typeof read === "string") {
      report(`${pointer}/address`, "PENSTOCK_CONFIG_ADDRESS", `${JSON.stringify(value.address)}: ${read}`);
      continue;
    }
    const key = `${Buffer.from(parseIp(read.address)).toString("hex")} ${read.port} ${read.protocol}`;
    const other = taken.get(key);
    if (other !== undefined)
      report(`${pointer}/address`, "PENSTOCK_CONFIG_DUPLICATE", `${value.address} is the service at ${other} already`);
    taken.set(key, pointer);
    if (value.devices === undefined && draft.interfaces.length === 0) {
      const detail =
        "name the devices that its packets come in by; without it they are those of kernel.interfaces, and there are none";
      report(`${pointer}/devices`, "PENSTOCK_CONFIG_REQUIRED", detail);
    }
    checkSource(entry, report);
    checkEndpoints(entry, read, report);
  }
}

/** DSR fills in the bits behind a prefix; at most the last 32 of an address. */
function checkSource({ pointer, value: { source, mode } }: Entry<ServiceResource>, report: Report): void {
  if (source === undefined) return;
  const read = readPrefix(source);
  const say = (detail: string): void => report(`${pointer}/source`, "PENSTOCK_CONFIG_ADDRESS", detail);
  if (typeof read === "string") say(`${JSON.stringify(source)}: ${read}`);
  else if (mode === "nat" && read.bits < 128) say("with NAT the source is one address: answers come back to it");
  else if (read.bits < 96) say("at most the last 32 bits are filled in: give a prefix of /96 or longer");
}

function checkEndpoints({ pointer, value }: Entry<ServiceResource>, service: Place, report: Report): void {
  const taken = new Map<string, number>();
  const source = value.source === undefined ? undefined : readPrefix(value.source);
  for (const [index, { address }] of value.endpoints.entries()) {
    const place = `${pointer}/endpoints/${index}/address`;
    const read = readEndpoint(address, service.port);
    if (typeof read === "string") {
      report(place, "PENSTOCK_CONFIG_ADDRESS", `${JSON.stringify(address)}: ${read}`);
      continue;
    }
    const ip = parseIp(read.address);
    const key = `${Buffer.from(ip).toString("hex")} ${read.port}`;
    const other = taken.get(key);
    if (other !== undefined)
      report(place, "PENSTOCK_CONFIG_DUPLICATE", `${address} is endpoint ${other} of this service already`);
    taken.set(key, index);
    const mode = familyFault(value.mode, ip, parseIp(service.address), source);
    if (mode !== null) report(place, "PENSTOCK_CONFIG_ADDRESS", `${address}: ${mode}`);
  }
}

function familyFault(
  mode: "dsr" | "nat",
  endpoint: Uint8Array,
  service: Uint8Array,
  source: ReturnType<typeof readPrefix> | undefined,
): string | null {
  if (mode === "nat" && isIpv4(endpoint) !== isIpv4(service))
    return "with NAT an endpoint is of the service's family; dsr takes any family in any";
  if (source !== undefined && typeof source !== "string" && isIpv4(source.ip) !== isIpv4(endpoint))
    return "the service's `source` is of another family";
  return null;
}

/** Nothing where there is none: the snapshot of a declaration without them stays what it was. */
export function compileServices(
  services: readonly ServiceResource[],
  interfaces: readonly { readonly device: string }[],
): { readonly services?: readonly ServiceSpec[] } {
  if (services.length === 0) return {};
  return {
    services: services.map((one) =>
      compileService(
        one,
        interfaces.map(({ device }) => device),
      ),
    ),
  };
}

function compileService(one: ServiceResource, devices: readonly string[]): ServiceSpec {
  const { address, port, protocol } = checked(readService(one.address));
  return {
    name: one.name,
    address,
    port,
    protocol,
    mode: one.mode,
    devices: [...(one.devices ?? devices)],
    flowTimeoutMs: one.flowTimeoutMs ?? (protocol === "udp" ? UDP_FLOW_MS : TCP_FLOW_MS),
    ...(one.source === undefined ? {} : { source: one.source }),
    endpoints: one.endpoints.map((endpoint) => ({
      ...checked(readEndpoint(endpoint.address, port)),
      weight: endpoint.weight,
      drain: endpoint.drain,
    })),
    ...(one.healthCheck === undefined ? {} : { healthCheck: compileCheck(one.healthCheck) }),
  };
}

function compileCheck({ port, ...check }: NonNullable<ServiceResource["healthCheck"]>): ServiceCheckSpec {
  return { ...check, ...(port === undefined ? {} : { port }) };
}

/** `checkServices` has seen it. */
function checked<T>(read: T | string): T {
  if (typeof read === "string") throw new TypeError(`compiled before it was checked: ${read}`);
  return read;
}
