/** Where a token stands in a request, how it is read there and taken off, so that it does not travel on. */
import type { Head } from "#http/head.ts";
import { AUTHORIZATION, COOKIE, internName } from "#http/names.ts";
import { equalsIgnoreCase } from "#http/octets.ts";
import type { JwtConfig } from "#snapshot/builtin-filters.ts";
import { credentialField } from "#plugins/challenge.ts";
import { maskParameter, parameterEnd, parameterStart } from "#plugins/query.ts";
import { octetsOf } from "#plugins/texts.ts";

const SP = 0x20;

export interface TokenPlace {
  /** Null: there is none. Empty: there are two, or it is not written as it should be. */
  read(request: Head): string | null;
  remove(request: Head): void;
}

export function placeOf({ from }: JwtConfig): TokenPlace {
  if (from.cookie !== undefined) return new CookiePlace(from.cookie);
  if (from.query !== undefined) return new QueryPlace(from.query);
  return new HeaderPlace(from.header ?? "authorization", from.scheme);
}

/** `authorization` is a proxy's own field in a CONNECT. */
class HeaderPlace implements TokenPlace {
  readonly #header: number;
  /** `Bearer `; empty: the value is the token. */
  readonly #scheme: string;

  constructor(header: string, scheme: string) {
    this.#header = internName(header);
    this.#scheme = scheme === "" ? "" : `${scheme.toLowerCase()} `;
  }

  read(request: Head): string | null {
    const name = this.#nameIn(request);
    const index = request.find(name);
    if (index < 0) return null;
    const start = request.valueStart(index);
    const end = request.valueEnd(index);
    // Two of them: the upstream might read the other one.
    if (request.find(name, index + 1) >= 0) return "";
    let token = start + this.#scheme.length;
    if (!equalsIgnoreCase(request.memory, start, Math.min(token, end), this.#scheme)) {
      // Another scheme is somebody else's credential.
      return this.#header === AUTHORIZATION ? null : "";
    }
    while (request.memory[token] === SP && token < end) token++;
    return request.text(token, end);
  }

  remove(request: Head): void {
    request.remove(this.#nameIn(request));
  }

  #nameIn(request: Head): number {
    return this.#header === AUTHORIZATION ? credentialField(request) : this.#header;
  }
}

class QueryPlace implements TokenPlace {
  readonly #parameter: Uint8Array;

  constructor(name: string) {
    this.#parameter = octetsOf(name);
  }

  read(request: Head): string | null {
    const { memory, queryStart, queryEnd } = request;
    const start = parameterStart(memory, queryStart, queryEnd, this.#parameter);
    if (start < 0) return null;
    const end = parameterEnd(memory, start, queryEnd);
    if (parameterStart(memory, end, queryEnd, this.#parameter) >= 0) return "";
    return request.text(start, end);
  }

  remove(request: Head): void {
    maskParameter(request, this.#parameter);
  }
}

/** RFC 6265 section 5.4; a browser may send several lines, in HTTP/2. */
class CookiePlace implements TokenPlace {
  readonly #start: string;

  constructor(name: string) {
    this.#start = `${name}=`;
  }

  read(request: Head): string | null {
    const found = pairsOf(request).filter((pair) => pair.startsWith(this.#start));
    if (found.length === 0) return null;
    const value = found.length > 1 ? "" : (found[0] ?? "").slice(this.#start.length);
    return value.replace(/^"(.*)"$/, "$1");
  }

  remove(request: Head): void {
    const left = pairsOf(request).filter((pair) => !pair.startsWith(this.#start));
    const value = octetsOf(left.join("; "));
    if (left.length === 0 || !request.set(COOKIE, value, 0, value.length)) request.remove(COOKIE);
  }
}

function pairsOf(request: Head): string[] {
  return (request.get("cookie") ?? "")
    .split(";")
    .map((pair) => pair.trim())
    .filter((pair) => pair !== "");
}
