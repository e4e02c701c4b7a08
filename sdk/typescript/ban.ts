import { ban } from "penstock:plugin/bans@1.0.0";
import { prefixBytes } from "./address.ts";

/**
 * Who comes from an address or a prefix is refused by all routes of the plugin's tenant, and by nobody else's. The route must grant
 * `ban`. False: not allowed, no room, or it is none.
 */
export function banFromTenant(prefix: string, seconds: number): boolean {
  const bytes = prefixBytes(prefix);
  return bytes !== null && ban(bytes, seconds);
}
