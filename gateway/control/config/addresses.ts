/** Addresses: which forms fit where, and none bound twice. */
import { isIPv4, isIPv6 } from "node:net";
import type { Draft } from "./draft.ts";
import { isRecord } from "./fields.ts";
import type { Report } from "./references.ts";

/** `sun_path` has 108 bytes, one of them the final zero (unix(7)). */
const UNIX_PATH_BYTES_MAX = 107;

export function checkAddresses(draft: Draft, input: unknown, report: Report): void {
  const bound = new Map<string, string>();
  for (const { pointer, value } of draft.listeners) {
    const place = `${pointer}/address`;
    const wrong = addressError(value.address, 0);
    if (wrong !== undefined) report(place, "PENSTOCK_CONFIG_ADDRESS", wrong);
    // Port 0 is a free one, a different one each time.
    if (value.address.endsWith(":0")) continue;
    const taken = bound.get(value.address);
    if (taken === undefined) bound.set(value.address, pointer);
    else
      report(place, "PENSTOCK_CONFIG_DUPLICATE", `${value.address} is the address of the listener at ${taken} already`);
  }
  for (const { pointer, value } of draft.upstreams) {
    for (const [index, endpoint] of value.endpoints.entries()) {
      const wrong = addressError(endpoint.address, 1);
      if (wrong !== undefined) report(`${pointer}/endpoints/${index}/address`, "PENSTOCK_CONFIG_ADDRESS", wrong);
    }
  }
  checkProxies(input, report);
}

/** What is wrong with `a.b.c.d:port`, `[v6]:port` or `unix:/path`; undefined: nothing. */
export function addressError(address: string, portMin: number): string | undefined {
  if (address.startsWith("unix:")) return unixError(address.slice("unix:".length));
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, Math.max(colon, 0));
  const port = address.slice(colon + 1);
  if (isIPv6(address) || (isIPv6(host) && colon >= 0)) {
    return `an IPv6 address stands in brackets: "[${isIPv6(address) ? address : host}]:${isIPv6(address) ? "8080" : port}"`;
  }
  if (colon < 0) return isIPv4(address) ? `the port is missing: "${address}:8080"` : `"${address}" is no address`;
  if (!/^(?:0|[1-9]\d{0,4})$/.test(port) || Number(port) < portMin || Number(port) > 65_535) {
    return `"${port}" is no port: ${portMin} to 65535`;
  }
  if (isIPv4(host) || (host.startsWith("[") && host.endsWith("]") && isIPv6(host.slice(1, -1)) && !host.includes("%")))
    return undefined;
  if (/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host) && /[A-Za-z]/.test(host)) {
    const meant = host === "localhost" ? `; write "127.0.0.1:${port}"` : "; write its IP address";
    return `names ("${host}") are not supported by this version${meant}`;
  }
  return `"${host}" is no IP address`;
}

function unixError(path: string): string | undefined {
  if (!path.startsWith("/")) return `a Unix socket has an absolute path: "unix:/run/app.sock"`;
  if (path.includes("\0")) return "a path can't contain a zero byte";
  const bytes = Buffer.byteLength(path);
  return bytes > UNIX_PATH_BYTES_MAX
    ? `the path has ${bytes} bytes; a Unix socket's has at most ${UNIX_PATH_BYTES_MAX}`
    : undefined;
}

function checkProxies(input: unknown, report: Report): void {
  const settings = isRecord(input) ? input["settings"] : undefined;
  const proxies = isRecord(settings) ? settings["trustedProxies"] : undefined;
  if (!Array.isArray(proxies)) return;
  for (const [index, proxy] of proxies.entries()) {
    // What is no text was reported by the schema.
    if (typeof proxy !== "string" || isPrefix(proxy)) continue;
    report(
      `/settings/trustedProxies/${index}`,
      "PENSTOCK_CONFIG_ADDRESS",
      `"${proxy}" is no address prefix such as "10.0.0.0/8" or "fd00::/8"`,
    );
  }
}

/** CIDR notation (RFC 4632, 3.1; RFC 4291, 2.3), or a single address. */
export function isPrefix(text: string): boolean {
  const [address, length, ...rest] = text.split("/");
  if (address === undefined || rest.length > 0) return false;
  const bits = isIPv4(address) ? 32 : isIPv6(address) && !address.includes("%") ? 128 : -1;
  if (bits < 0) return false;
  return length === undefined || (/^(?:0|[1-9]\d{0,2})$/.test(length) && Number(length) <= bits);
}
