/** Which content coding a client takes (RFC 9110 section 12.5.3). */
import type { Coding } from "#snapshot/builtin-filters.ts";

/**
 * Which of the offered codings a client wants most (RFC 9110 section 12.5.3), or null for none. Among equals the order
 * of the offer decides. `accept`: the value of Accept-Encoding.
 */
export function preferred(accept: string | undefined, offered: readonly Coding[]): Coding | null {
  if (accept === undefined) return null;
  const weights = weightsOf(accept);
  const any = weights.get("*");
  let best: Coding | null = null;
  let most = weights.get("identity") ?? 0;
  for (const coding of offered) {
    const weight = weights.get(coding) ?? any ?? 0;
    if (weight === 0 || weight < most || (weight === most && best !== null)) continue;
    best = coding;
    most = weight;
  }
  return best;
}

/** True when a client takes this coding. */
export function accepts(accept: string | undefined, coding: string): boolean {
  const weights = weightsOf(accept ?? "");
  return (weights.get(coding.trim().toLowerCase()) ?? weights.get("*") ?? 0) > 0;
}

const MEMBERS_MAX = 32;

function weightsOf(accept: string): Map<string, number> {
  const weights = new Map<string, number>();
  for (const member of accept.split(",", MEMBERS_MAX)) {
    const [name = "", ...parameters] = member.split(";");
    const quality = parameters
      .map((one) => /^\s*q=([01](?:\.\d{0,3})?)\s*$/i.exec(one)?.[1])
      .find((q) => q !== undefined);
    weights.set(name.trim().toLowerCase(), quality === undefined ? 1 : Math.min(1, Number(quality)));
  }
  return weights;
}
