/** Where a tenant's own upstreams may lead: `allow.endpoints`, a list of prefixes and of whole addresses. */
import { familyOf, formatAddress, ipOf, prefixContains, readAddress, readPrefix } from "#core/address.ts";

/** sa_family of a Unix socket. Source: include/linux/socket.h. */
const AF_UNIX = 1;

/** Why `text` is no grant; undefined: it is one. */
export function grantFault(text: string): string | undefined {
  const read = text.includes("/") && !text.startsWith("unix:") ? readPrefix(text) : readAddress(text);
  return typeof read === "string" ? read : undefined;
}

/** An address that is none is granted nowhere; that it is none was reported as such. */
export function isGranted(address: string, grants: readonly string[]): boolean {
  const wanted = readAddress(address);
  if (typeof wanted === "string") return false;
  return grants.some((grant) => {
    const whole = readAddress(grant);
    if (typeof whole !== "string") return formatAddress(whole) === formatAddress(wanted);
    const prefix = readPrefix(grant);
    return typeof prefix !== "string" && familyOf(wanted) !== AF_UNIX && prefixContains(prefix, ipOf(wanted));
  });
}
