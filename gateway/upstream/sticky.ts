/** Clients that stay with an endpoint by a cookie, which holds a hash of the endpoint's address. */
import type { Head } from "#http/head.ts";
import type { BalancerSpec } from "#snapshot/snapshot.ts";
import type { Member } from "./member.ts";
import { TagCookie } from "./tag-cookie.ts";

export class Sticky {
  readonly #cookie: TagCookie;
  readonly #byTag = new Map<number, Member>();

  constructor(spec: NonNullable<BalancerSpec["sticky"]>, members: readonly Member[]) {
    this.#cookie = new TagCookie(spec.cookie, spec.ttlSeconds);
    for (const member of members) this.#byTag.set(member.tag, member);
  }

  /** Whom the request's cookie names; null when it has none, or names nobody that is known. */
  memberOf(request: Head): Member | null {
    return this.#byTag.get(this.#cookie.read(request)) ?? null;
  }

  /** Binds the client to this member, by a field of the response. */
  bind(response: Head, member: Member): void {
    this.#cookie.write(response, member.tag);
  }
}
