/** Where a filter sends an exchange or a stream instead of where its route says. */
import type { Member } from "#upstream/member.ts";
import type { Upstream } from "#upstream/upstream.ts";

export interface Detour {
  readonly upstream: Upstream;
  /** Tried first, as long as it can be used; null: whoever the balancer picks. */
  readonly member: Member | null;
}

interface Upstreams {
  upstreamNamed(name: string): Upstream | null;
}

/** Null: there is no such upstream, or no such endpoint in it. */
export function detourTo(engine: Upstreams, name: string, endpoint: string): Detour | null {
  const upstream = engine.upstreamNamed(name);
  if (upstream === null) return null;
  if (endpoint === "") return { upstream, member: null };
  const member = upstream.members.find((one) => one.endpoint.address === endpoint);
  return member === undefined ? null : { upstream, member };
}
