/**
 * Clients that stay with an endpoint by a cookie. The cookie holds a hash of the endpoint's address: it tells a client
 * nothing but whether two of its answers came from the same endpoint, and a forged one chooses an endpoint at most.
 */
import type { Head } from "#http/head.ts";
import { SET_COOKIE } from "#http/names.ts";
import type { BalancerSpec } from "#snapshot/snapshot.ts";
import { findCookie, found } from "./cookie.ts";
import type { Member } from "./member.ts";

const TAG_CHARACTERS = 8;

export class Sticky {
  readonly #name: Uint8Array;
  readonly #before: string;
  readonly #after: string;
  readonly #byTag = new Map<number, Member>();

  constructor(spec: NonNullable<BalancerSpec["sticky"]>, members: readonly Member[]) {
    this.#name = Buffer.from(spec.cookie, "latin1");
    this.#before = `${spec.cookie}=`;
    this.#after = `; Path=/; HttpOnly; SameSite=Lax${spec.ttlSeconds > 0 ? `; Max-Age=${spec.ttlSeconds}` : ""}`;
    for (const member of members) this.#byTag.set(member.tag, member);
  }

  /** Whom the request's cookie names; null when it has none, or names nobody that is known. */
  memberOf(request: Head): Member | null {
    if (!findCookie(request, this.#name) || found.end - found.start !== TAG_CHARACTERS) return null;
    const tag = Number.parseInt(request.text(found.start, found.end), 16);
    return this.#byTag.get(tag) ?? null;
  }

  /** Binds the client to this member, by a field of the response. Without memory for it the client is not bound. */
  bind(response: Head, member: Member): void {
    const tag = member.tag.toString(16).padStart(TAG_CHARACTERS, "0");
    const value = Buffer.from(`${this.#before}${tag}${this.#after}`, "latin1");
    response.add(SET_COOKIE, value, 0, value.length);
  }
}
