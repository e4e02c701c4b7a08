/**
 * What of a request ring-hash and maglev choose by. A request that lacks it, say a first one without the cookie, is
 * spread at random: all of them on one endpoint would be the opposite of balance.
 */
import type { Head } from "#http/head.ts";
import { internName } from "#http/names.ts";
import { findCookie, found } from "./cookie.ts";
import { hashBytes, hashText } from "#core/hash.ts";

const AMPERSAND = 0x26;
const EQUALS = 0x3d;

type Kind = "client-ip" | "path" | "header" | "cookie" | "query";

export class HashKey {
  readonly #kind: Kind;
  readonly #header: number;
  readonly #name: Uint8Array;

  /** `key`: `client-ip`, `path`, `header:NAME` (lower case), `cookie:NAME`, `query:NAME`. */
  constructor(key: string) {
    const colon = key.indexOf(":");
    this.#kind = (colon < 0 ? key : key.slice(0, colon)) as Kind;
    const name = colon < 0 ? "" : key.slice(colon + 1);
    this.#header = this.#kind === "header" ? internName(name) : 0;
    this.#name = Buffer.from(name, "latin1");
  }

  /** 32 bits. `client`: the client's address as text. `request`: null where there is no HTTP. */
  hashOf(request: Head | null, client: string): number {
    if (request === null) return this.#kind === "client-ip" ? hashText(client) : anyHash();
    switch (this.#kind) {
      case "client-ip":
        return hashText(client);
      case "path":
        return hashBytes(request.memory, request.pathStart, request.pathEnd);
      case "header":
        return this.#hashOfHeader(request);
      case "cookie":
        return findCookie(request, this.#name) ? hashBytes(request.memory, found.start, found.end) : anyHash();
      case "query":
        return this.#hashOfParameter(request);
    }
  }

  #hashOfHeader(request: Head): number {
    const field = request.find(this.#header);
    if (field < 0) return anyHash();
    return hashBytes(request.memory, request.valueStart(field), request.valueEnd(field));
  }

  /** `name=value` between ampersands, as it stands there: nothing is decoded. */
  #hashOfParameter(request: Head): number {
    const { memory, queryStart, queryEnd } = request;
    const name = this.#name;
    for (let at = queryStart; at < queryEnd;) {
      let end = at;
      while (end < queryEnd && memory[end] !== AMPERSAND) end++;
      if (end - at > name.length && memory[at + name.length] === EQUALS && startsWith(memory, at, name)) {
        return hashBytes(memory, at + name.length + 1, end);
      }
      at = end + 1;
    }
    return anyHash();
  }
}

function startsWith(memory: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (memory[at + i] !== name[i]) return false;
  return true;
}

function anyHash(): number {
  return Math.floor(Math.random() * 0x1_0000_0000);
}
