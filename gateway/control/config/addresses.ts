/** Addresses: which forms fit where, and none bound twice. */
import { familyOf, formatAddress, portOf, readAddress, readIp, readPrefix } from "#core/address.ts";
import type { Draft } from "./draft.ts";
import { isRecord } from "./fields.ts";
import type { Report } from "./references.ts";

/** sa_family of a Unix socket. Source: include/linux/socket.h. */
const AF_UNIX = 1;

export function checkAddresses(draft: Draft, input: unknown, report: Report): void {
  const bound = new Map<string, string>();
  for (const { pointer, value } of draft.listeners) {
    const place = `${pointer}/address`;
    const address = readAddress(value.address);
    if (typeof address === "string") {
      report(place, "PENSTOCK_CONFIG_ADDRESS", explain(value.address, address));
      continue;
    }
    // Port 0 is a free one, a different one each time.
    if (familyOf(address) !== AF_UNIX && portOf(address) === 0) continue;
    const taken = bound.get(formatAddress(address));
    if (taken === undefined) bound.set(formatAddress(address), pointer);
    else
      report(place, "PENSTOCK_CONFIG_DUPLICATE", `${value.address} is the address of the listener at ${taken} already`);
  }
  for (const { pointer, value } of draft.upstreams) {
    for (const [index, endpoint] of value.endpoints.entries()) {
      const address = readAddress(endpoint.address);
      const place = `${pointer}/endpoints/${index}/address`;
      if (typeof address === "string") report(place, "PENSTOCK_CONFIG_ADDRESS", explain(endpoint.address, address));
      else if (familyOf(address) !== AF_UNIX && portOf(address) === 0) {
        report(place, "PENSTOCK_CONFIG_ADDRESS", "nothing can be reached on port 0");
      }
    }
  }
  checkProxies(input, report);
}

/** A name instead of an address is the likely mistake: say so, rather than what a number should have been. */
function explain(text: string, fault: string): string {
  const host = text.slice(0, Math.max(0, text.lastIndexOf(":")));
  const looksLikeName = !text.startsWith("unix:") && /^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host) && /[A-Za-z]/.test(host);
  if (!looksLikeName || typeof readIp(host) !== "string") return `"${text}" is no address: ${fault}`;
  const mend = host === "localhost" ? `write "127.0.0.1${text.slice(host.length)}"` : "write its IP address";
  return `names ("${host}") are not supported by this version; ${mend}`;
}

function checkProxies(input: unknown, report: Report): void {
  const settings = isRecord(input) ? input["settings"] : undefined;
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
