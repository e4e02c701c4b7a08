/** The members of this worker by upstream and address: what an upstream of a new snapshot has in common with the old one's. */
import type { Loop } from "./context.ts";
import type { Endpoint } from "./endpoint.ts";
import { Member } from "./member.ts";
import type { EndpointOutage } from "./outage.ts";

export class Members {
  readonly #loop: Loop;
  readonly #byUpstream = new Map<string, Map<Endpoint, Member>>();
  readonly #outages = new Map<string, EndpointOutage>();

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  /** From here on members that are new begin with these; with none of them again when the list is empty. */
  expect(outages: readonly EndpointOutage[]): void {
    this.#outages.clear();
    for (const one of outages) this.#outages.set(`${one.upstream} ${one.address}`, one);
  }

  /** Some upstream of this name is there already. */
  knows(upstream: string): boolean {
    return this.#byUpstream.has(upstream);
  }

  /** Counted, until `release`. `joins`: if it is not known, it is new among others, and begins slowly where that is asked. */
  acquire(upstream: string, endpoint: Endpoint, joins: boolean): Member {
    let known = this.#byUpstream.get(upstream);
    if (known === undefined) {
      known = new Map();
      this.#byUpstream.set(upstream, known);
    }
    let member = known.get(endpoint);
    if (member === undefined) {
      member = new Member(endpoint, this.#loop);
      if (joins) member.usableSinceMs = this.#loop.nowMs;
      known.set(endpoint, member);
      const outage = this.#outages.get(`${upstream} ${endpoint.address}`);
      if (outage !== undefined) member.takeUp(outage);
    }
    member.references++;
    return member;
  }

  release(upstream: string, member: Member): void {
    member.references--;
    if (member.references > 0) return;
    member.dispose();
    const known = this.#byUpstream.get(upstream);
    known?.delete(member.endpoint);
    if (known?.size === 0) this.#byUpstream.delete(upstream);
  }
}
