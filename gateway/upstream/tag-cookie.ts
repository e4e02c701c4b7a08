/**
 * A cookie that holds 32 bits, in hexadecimal: a hash of what its client stays with. It tells a client nothing but whether two
 * answers came from the same place, and a forged one chooses a place at most.
 */
import type { Head } from "#http/head.ts";
import { SET_COOKIE } from "#http/names.ts";
import { findCookie, found } from "./cookie.ts";

const CHARACTERS = 8;

export class TagCookie {
  readonly #name: Uint8Array;
  readonly #before: string;
  readonly #after: string;

  /** `ttlSeconds`: 0 for until the browser closes. */
  constructor(name: string, ttlSeconds: number) {
    this.#name = Buffer.from(name, "latin1");
    this.#before = `${name}=`;
    this.#after = `; Path=/; HttpOnly; SameSite=Lax${ttlSeconds > 0 ? `; Max-Age=${ttlSeconds}` : ""}`;
  }

  /** Below 0 when there is none, or it is none of ours. */
  read(request: Head): number {
    if (!findCookie(request, this.#name) || found.end - found.start !== CHARACTERS) return -1;
    const tag = Number.parseInt(request.text(found.start, found.end), 16);
    return Number.isNaN(tag) ? -1 : tag;
  }

  /** Without memory for it the client is not bound. */
  write(response: Head, tag: number): void {
    const value = Buffer.from(`${this.#before}${tag.toString(16).padStart(CHARACTERS, "0")}${this.#after}`, "latin1");
    response.add(SET_COOKIE, value, 0, value.length);
  }
}
