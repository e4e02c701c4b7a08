/** What the system says about names, as far as it is used here: nameservers of resolv.conf(5) and the lines of hosts(5). Pure. */
import { formatIp, isIpv4, readIp } from "#core/address.ts";

const DNS_PORT = 53;
/** As many as the system's own resolver looks at (MAXNS). */
const SERVERS_MAX = 3;

export interface ResolverConfig {
  /** `10.0.0.2:53`, `[fd00::2]:53`: asked in this order. */
  readonly servers: readonly string[];
  /** Lower-case names that need no server, with their addresses. */
  readonly hosts: ReadonlyMap<string, readonly string[]>;
}

/** `nameserver` lines. Everything else, search lists too, is left aside: names of endpoints are whole names. */
export function readNameservers(text: string): string[] {
  const servers: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword, address = ""] = line.trim().split(/\s+/);
    if (keyword !== "nameserver") continue;
    // A scope, `fe80::1%eth0`, needs the index of a device: such a server is passed over.
    const ip = readIp(address);
    if (typeof ip === "string") continue;
    servers.push(isIpv4(ip) ? `${formatIp(ip)}:${DNS_PORT}` : `[${formatIp(ip)}]:${DNS_PORT}`);
  }
  // None at all means the one on this machine (resolv.conf(5)).
  return servers.length === 0 ? [`127.0.0.1:${DNS_PORT}`] : servers.slice(0, SERVERS_MAX);
}

export function readHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = (line.split("#", 1)[0] ?? "").trim().split(/\s+/);
    const ip = readIp(address);
    if (typeof ip === "string") continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, "");
      const known = hosts.get(key) ?? [];
      const printed = formatIp(ip);
      if (!known.includes(printed)) known.push(printed);
      hosts.set(key, known);
    }
  }
  return hosts;
}
