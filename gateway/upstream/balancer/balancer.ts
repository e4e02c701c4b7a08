/**
 * Who gets the next request. A balancer is made for one list of members and never sees it change; which of them can be
 * used at the moment it asks each time. One suite runs over all of them (test/unit/upstream/balancers.test.ts).
 */
import type { Member } from "#upstream/member.ts";

export interface Weighted {
  readonly member: Member;
  readonly weight: number;
}

export interface Balancer {
  /**
   * A member that can take a request now, and is not among `tried`; null when there is none. `hash`: 32 bits of the
   * request's key, for those who choose by one; the same key gets the same member while that can take it.
   */
  pick(hash: number, tried: readonly Member[]): Member | null;
}

/** Steps of a search after which it is asked whether there is anything to find. */
export const SEARCH_STEPS = 64;

export function anyOpen(members: readonly Member[], tried: readonly Member[]): boolean {
  for (let i = 0; i < members.length; i++) if (isOpen(members[i] as Member, tried)) return true;
  return false;
}

export function isOpen(member: Member, tried: readonly Member[]): boolean {
  return member.available && (tried.length === 0 || !tried.includes(member));
}
