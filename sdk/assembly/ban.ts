// Bans within the plugin's tenant: who is banned is refused by all its routes, and by nobody else's. The route must grant `ban`.
import { parsePrefix, prefixBuffer } from "./address";
import { ban_prefix } from "./host";
import { clientBytes } from "./request";

/** An address or a prefix, `203.0.113.7`, `2001:db8::/32`. False: not allowed, no room, or it is none. */
export function banFromTenant(prefix: string, seconds: i32): bool {
  return parsePrefix(prefix) && ban_prefix(prefixBuffer, seconds) == 1;
}

/** The client of this request or stream. */
export function banClientFromTenant(seconds: i32): bool {
  store<u32>(prefixBuffer, 128);
  memory.copy(prefixBuffer + 4, clientBytes(), 16);
  return ban_prefix(prefixBuffer, seconds) == 1;
}
