/** Where a tenant's own upstreams may lead: `allow.endpoints`, a list of prefixes and of whole addresses. */
import {
  familyOf,
  formatAddress,
  ipOf,
  prefixContains,
  readAddress,
  readNamedAddress,
  readPrefix,
} from "#core/address.ts";

/** sa_family of a Unix socket. Source: include/linux/socket.h. */
const AF_UNIX = 1;

/** Why `text` is no grant; undefined: it is one. */
export function grantFault(text: string): string | undefined {
  if (readNamedAddress(text) !== null) return undefined;
  const read = text.includes("/") && !text.startsWith("unix:") ? readPrefix(text) : readAddress(text);
  return typeof read === "string" ? read : undefined;
}

/**
 * An address that is none is granted nowhere; that it is none was reported as such. A name is granted by itself and not by
 * a prefix: what it stands for may be anything, any time.
 */
export function isGranted(address: string, grants: readonly string[]): boolean {
  const named = readNamedAddress(address);
  if (named !== null) {
    return grants.some((grant) => {
      const granted = readNamedAddress(grant);
      return granted !== null && granted.host === named.host && granted.port === named.port;
    });
  }
  const wanted = readAddress(address);
  if (typeof wanted === "string") return false;
  return grants.some((grant) => {
    const whole = readAddress(grant);
    if (typeof whole !== "string") return formatAddress(whole) === formatAddress(wanted);
    const prefix = readPrefix(grant);
    return typeof prefix !== "string" && familyOf(wanted) !== AF_UNIX && prefixContains(prefix, ipOf(wanted));
  });
}
