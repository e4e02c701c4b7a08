/** The endpoints of a worker that are out, for another one. */
import type { Member } from "./member.ts";
import type { EndpointOutage } from "./outage.ts";
import type { Upstream } from "./upstream.ts";

/** Of one worker: a message of half a megabyte. The rest is found out anew. */
const OUTAGES_MAX = 4096;

/** `nowMs`: of the loop. */
export function outagesOf(upstreams: readonly Upstream[], nowMs: number): EndpointOutage[] {
  const found: EndpointOutage[] = [];
  for (const { name, members } of upstreams) {
    for (const member of members) {
      if (member.usable) continue;
      if (found.length === OUTAGES_MAX) return found;
      found.push(outageOf(name, member, nowMs));
    }
  }
  return found;
}

function outageOf(upstream: string, member: Member, nowMs: number): EndpointOutage {
  const { address, healthy, ejected, checkError, ejectedUntilMs, ejections } = member;
  return {
    upstream,
    address,
    checkError: healthy ? null : checkError,
    // One that is due at this moment is still one.
    ejectedMs: ejected ? Math.max(1, ejectedUntilMs - nowMs) : 0,
    ejections,
  };
}
