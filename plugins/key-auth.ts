/**
 * `key-auth`: 401, or to CONNECT 407, without a known key in a header or a query parameter. The key does not travel on: a header is removed;
 * a parameter's value is overwritten with asterisks where it was received, and so it is in the access log, also when it
 * was wrong. A key is compared as it stands, without percent decoding.
 */
import { internName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { KeyAuthConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { respondChallenge } from "./challenge.ts";
import { digestOf, IdentityField, indexOfDigest, sha256 } from "./credentials.ts";
import { maskParameter, parameterEnd, parameterStart } from "./query.ts";
import { lineOf, octetsOf } from "./texts.ts";

const UNAUTHORIZED = lineOf("a key is needed");
const NO_ROOM = lineOf("the headers do not fit");
/** RFC 9110 section 15.5.2 wants a challenge; no registered scheme means a key. */
const CHALLENGE = 'ApiKey realm="restricted"';
/** Longer ones are nobody's: a bound on what is hashed for a stranger. */
const KEY_BYTES_MAX = 1024;

export class KeyAuthFilter extends BuiltinFilter {
  readonly #header: number;
  readonly #parameter: Uint8Array;
  readonly #digests: readonly Uint8Array[];
  readonly #identity: IdentityField;

  constructor(config: KeyAuthConfig) {
    super("key-auth", HOOK_REQUEST_HEAD);
    this.#header = config.header === undefined ? 0 : internName(config.header);
    this.#parameter = octetsOf(config.query ?? "");
    this.#digests = config.keys.map((key) => digestOf(key.sha256));
    const names = config.keys.map(({ name }) => name);
    this.#identity = new IdentityField(config.userHeader, names);
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    const key = this.#header === 0 ? this.#fromQuery(request) : this.#fromHeader(request);
    if (key < 0) return respondChallenge(exchange, CHALLENGE, UNAUTHORIZED);
    if (this.#identity.write(request, key)) return CONTINUE;
    exchange.respond(500, [], NO_ROOM);
    return REPLY;
  }

  #fromHeader(request: Head): number {
    const field = request.find(this.#header);
    if (field < 0 || request.find(this.#header, field + 1) >= 0) return -1;
    const key = this.#find(request.memory, request.valueStart(field), request.valueEnd(field));
    if (key >= 0) request.remove(this.#header);
    return key;
  }

  #fromQuery(request: Head): number {
    const { memory, queryStart, queryEnd } = request;
    const start = parameterStart(memory, queryStart, queryEnd, this.#parameter);
    const key = start < 0 ? -1 : this.#find(memory, start, parameterEnd(memory, start, queryEnd));
    maskParameter(request, this.#parameter);
    return key;
  }

  #find(memory: Uint8Array, start: number, end: number): number {
    if (end - start > KEY_BYTES_MAX || end === start) return -1;
    return indexOfDigest(this.#digests, sha256(memory.subarray(start, end)));
  }
}
