/** Addresses: which forms fit where, and none bound twice. */
import { familyOf, formatAddress, portOf, readAddress, readIp, readNamedAddress, readPrefix } from "#core/address.ts";
import { grantFault } from "./endpoint-grants.ts";
import { isRecord } from "./fields.ts";
import type { Report } from "./references.ts";

/** sa_family of a Unix socket. Source: include/linux/socket.h. */
const AF_UNIX = 1;

/** Looks at the input itself, so that an entry with some other mistake has its address checked all the same. */
export function checkAddresses(input: unknown, report: Report): void {
  const root = isRecord(input) ? input : {};
  const bound = new Map<string, string>();
  for (const [index, { address: text, protocol }] of records(root["listeners"])) {
    const pointer = `/listeners/${index}`;
    const address = checkAddress(text, `${pointer}/address`, report);
    // Port 0 is a free one, a different one each time.
    if (address === undefined || isPortZero(address)) continue;
    // Ports of UDP are others than those of TCP.
    const key = `${formatAddress(address)}${protocol === "udp" ? "/udp" : ""}`;
    const taken = bound.get(key);
    if (taken === undefined) bound.set(key, pointer);
    else {
      const detail = `${formatAddress(address)} is the address of the listener at ${taken} already`;
      report(`${pointer}/address`, "PENSTOCK_CONFIG_DUPLICATE", detail);
    }
  }
  for (const [index, { endpoints }] of records(root["upstreams"])) {
    for (const [at, { address: text }] of records(endpoints)) {
      const pointer = `/upstreams/${index}/endpoints/${at}/address`;
      if (typeof text === "string" && readNamedAddress(text) !== null) continue;
      const address = checkAddress(text, pointer, report);
      if (address !== undefined && isPortZero(address)) {
        report(pointer, "PENSTOCK_CONFIG_ADDRESS", "nothing can be reached on port 0");
      }
    }
  }
  for (const [index, { allow }] of records(root["tenants"])) checkEndpointGrants(allow, `/tenants/${index}`, report);
  checkProxies(root["settings"], report);
  checkNameservers(root["settings"], report);
}

/** The entries of a list that have fields; what else is in it was reported by the schema. */
function records(list: unknown): [number, Readonly<Record<string, unknown>>][] {
  if (!Array.isArray(list)) return [];
  return [...list.entries()].filter((entry): entry is [number, Readonly<Record<string, unknown>>] =>
    isRecord(entry[1]),
  );
}

function checkAddress(text: unknown, pointer: string, report: Report): Uint8Array | undefined {
  // The schema has reported what is no text, and what is empty.
  if (typeof text !== "string" || text === "") return undefined;
  const address = readAddress(text);
  if (typeof address !== "string") return address;
  report(pointer, "PENSTOCK_CONFIG_ADDRESS", explain(text, address));
  return undefined;
}

function isPortZero(address: Uint8Array): boolean {
  return familyOf(address) !== AF_UNIX && portOf(address) === 0;
}

/** A name instead of an address is the likely mistake: say so, rather than what a number should have been. */
function explain(text: string, fault: string): string {
  const host = text.slice(0, Math.max(0, text.lastIndexOf(":")));
  const looksLikeName = !text.startsWith("unix:") && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host) && /[A-Za-z]/.test(host);
  if (!looksLikeName || typeof readIp(host) !== "string") return `"${text}" is no address: ${fault}`;
  const mend = host === "localhost" ? `write "127.0.0.1${text.slice(host.length)}"` : "write its IP address";
  return `a name ("${host}") can't stand here; ${mend}`;
}

function checkEndpointGrants(allow: unknown, place: string, report: Report): void {
  const grants = isRecord(allow) ? allow["endpoints"] : undefined;
  if (!Array.isArray(grants)) return;
  for (const [index, grant] of grants.entries()) {
    const fault = typeof grant === "string" && grant !== "" ? grantFault(grant) : undefined;
    if (fault === undefined) continue;
    const detail = `"${String(grant)}" is neither a prefix such as "10.0.0.0/8" nor an address: ${fault}`;
    report(`${place}/allow/endpoints/${index}`, "PENSTOCK_CONFIG_ADDRESS", detail);
  }
}

function checkNameservers(settings: unknown, report: Report): void {
  const servers = isRecord(settings) ? settings["nameservers"] : undefined;
  if (!Array.isArray(servers)) return;
  for (const [index, server] of servers.entries()) {
    const pointer = `/settings/nameservers/${index}`;
    const address = checkAddress(server, pointer, report);
    if (address !== undefined && familyOf(address) === AF_UNIX) {
      report(pointer, "PENSTOCK_CONFIG_ADDRESS", "a nameserver is asked over TCP: write its IP address and port");
    }
  }
}

function checkProxies(settings: unknown, report: Report): void {
  const proxies = isRecord(settings) ? settings["trustedProxies"] : undefined;
  if (!Array.isArray(proxies)) return;
  for (const [index, proxy] of proxies.entries()) {
    // What is no text was reported by the schema.
    const fault = typeof proxy === "string" ? readPrefix(proxy) : undefined;
    if (typeof fault !== "string") continue;
    const detail = `"${String(proxy)}" is no prefix such as "10.0.0.0/8" or "fd00::/8": ${fault}`;
    report(`/settings/trustedProxies/${index}`, "PENSTOCK_CONFIG_ADDRESS", detail);
  }
}
