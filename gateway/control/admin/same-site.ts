/**
 * Browsers send requests for pages that are not ours. A page that has its own name resolve to this address (DNS rebinding)
 * is found by the name it asks for; a form or script of another site by the Origin that its browser adds.
 */
import { isIP } from "node:net";
import { controlError } from "#core/errors/control.ts";

/**
 * Over TCP: the request must name this machine by an address or as `localhost` (RFC 6761 §6.3), and a page that sends it must
 * come from here. Throws 421 and 403. `secure`: the certificate says which names are this machine's, and the browser has
 * looked at it.
 */
export function requireSameSite(request: Request, secure: boolean): void {
  const host = request.headers.get("host") ?? "";
  if (!secure && !isOurs(host)) throw controlError("PENSTOCK_CONTROL_MISDIRECTED", { detail: `Host is "${host}"` });
  const origin = request.headers.get("origin");
  if (origin !== null && !isSame(origin, host))
    throw controlError("PENSTOCK_CONTROL_CROSS_ORIGIN", { detail: `Origin is "${origin}"` });
}

function isOurs(host: string): boolean {
  const name = /^(?:\[([\da-fA-F:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host);
  const text = (name?.[1] ?? name?.[2] ?? "").toLowerCase();
  return text === "localhost" || text.endsWith(".localhost") || isIP(text) !== 0;
}

/** RFC 6454 §7: a scheme and an authority, or `null` for a page without an origin of its own. */
function isSame(origin: string, host: string): boolean {
  return origin === `http://${host}` || origin === `https://${host}`;
}
