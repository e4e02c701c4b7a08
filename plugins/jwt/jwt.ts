/**
 * `jwt`: 401, or to CONNECT 407, without a signed token that says what the route asks for (RFC 7519, RFC 6750). What was verified is remembered
 * by the whole token until it expires, so a client that comes again costs a lookup; a token that failed is not.
 *
 * Signatures are checked in place: 5 to 150 µs once for each token, less than a detour over the thread pool costs.
 */
import { filterError } from "#core/errors/filters.ts";
import { internName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, SUSPEND, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { BuiltinFilter, type BuiltinServices } from "#plugins/builtin-filter.ts";
import { respondChallenge } from "#plugins/challenge.ts";
import { lineOf, octetsOf } from "#plugins/texts.ts";
import type { JwtConfig } from "#snapshot/builtin-filters.ts";
import { isSigned } from "./algorithms.ts";
import { claimsRefused, claimText, validityOf, type Validity } from "./claims.ts";
import { JwksSource } from "./jwks-source.ts";
import { isShortSecret, KeySet } from "./key-set.ts";
import { readToken, type Token } from "./token.ts";
import { placeOf, type TokenPlace } from "./token-place.ts";

const NO_ROOM = lineOf("the headers do not fit");
const NO_KEYS = lineOf("the keys that tokens are signed with are not known at the moment");
/** Two generations of this many tokens, of some 1 KiB each. */
const REMEMBERED_MAX = 4096;

interface Verified {
  readonly validity: Validity;
  /** For `claimHeaders`, in order; null: the token has no such claim. */
  readonly values: readonly (Uint8Array | null)[];
}

export class JwtFilter extends BuiltinFilter {
  readonly #config: JwtConfig;
  readonly #services: BuiltinServices;
  readonly #place: TokenPlace;
  readonly #fixed: KeySet | null;
  readonly #source: JwksSource | null;
  readonly #headers: readonly { readonly id: number; readonly claim: string }[];
  #young = new Map<string, Verified>();
  #old = new Map<string, Verified>();
  /** Of the source's keys, when those tokens were verified. */
  #version = 0;

  constructor(config: JwtConfig, services: BuiltinServices) {
    super("jwt", HOOK_REQUEST_HEAD);
    this.#config = config;
    this.#services = services;
    this.#place = placeOf(config);
    const { jwksUpstream, algorithms } = config;
    this.#fixed = jwksUpstream === undefined ? new KeySet(config.keys, algorithms) : null;
    // A declared one was checked; one that refers to a secret is seen here first.
    if (config.keys.some(isShortSecret)) {
      throw filterError("PENSTOCK_FILTER_SECRET", { detail: "a key for HMAC is too short" });
    }
    this.#source = jwksUpstream === undefined ? null : new JwksSource(jwksUpstream, algorithms, services);
    this.#headers = Object.entries(config.claimHeaders).map(([header, claim]) => ({ id: internName(header), claim }));
  }

  override requestHead(exchange: Exchange): Verdict {
    const { request } = exchange;
    const text = this.#place.read(request);
    if (text === null) {
      if (!this.#config.optional) return this.#refuse(exchange, null);
      return this.#pass(exchange, null);
    }
    const known = this.#remembered(text);
    if (known !== undefined) return this.#admit(exchange, known);
    const token = readToken(text);
    if (typeof token === "string") return this.#refuse(exchange, token);
    return this.#verify(exchange, text, token, true);
  }

  /** `patient`: may wait for other keys. */
  #verify(exchange: Exchange, text: string, token: Token, patient: boolean): Verdict {
    const { config, keys } = { config: this.#config, keys: this.#fixed ?? this.#source?.keys ?? null };
    // Before any key is looked at: an algorithm that this route does not take is none.
    if (!config.algorithms.includes(token.algorithm)) {
      return this.#refuse(exchange, "the token's algorithm is not taken");
    }
    const candidates = keys?.find(token.algorithm, token.kid) ?? [];
    if (candidates.length === 0) {
      const refreshed = patient ? (this.#source?.refreshed() ?? null) : null;
      if (refreshed !== null) return this.#wait(exchange, text, token, refreshed);
      if (keys !== null) return this.#refuse(exchange, "the token was signed with a key that is not known");
      exchange.respond(503, [], NO_KEYS);
      return REPLY;
    }
    if (!candidates.some((key) => isSigned(token.algorithm, key, token.signed, token.signature))) {
      return this.#refuse(exchange, "the token's signature is wrong");
    }
    const refused = claimsRefused(token.claims, config);
    if (refused !== null) return this.#refuse(exchange, refused);
    return this.#admit(exchange, this.#remember(text, token));
  }

  #wait(exchange: Exchange, text: string, token: Token, refreshed: Promise<void>): Verdict {
    void refreshed.then(() => {
      if (!exchange.ended) exchange.resume(this.#verify(exchange, text, token, false));
    });
    return SUSPEND;
  }

  #remembered(text: string): Verified | undefined {
    if (this.#source !== null && this.#source.version !== this.#version) {
      this.#young.clear();
      this.#old.clear();
      this.#version = this.#source.version;
    }
    // Also begins to fetch keys when it is time to, and forgets all when they are too old.
    if (this.#source !== null && this.#source.keys === null) return undefined;
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const older = this.#old.get(text);
    if (older !== undefined) this.#keep(text, older);
    return older;
  }

  #remember(text: string, { claims }: Token): Verified {
    const values = this.#headers.map(({ claim }) => {
      const value = claimText(claims, claim);
      return value === null ? null : octetsOf(value);
    });
    const verified = { validity: validityOf(claims, this.#config), values };
    this.#keep(text, verified);
    return verified;
  }

  #keep(text: string, verified: Verified): void {
    if (this.#young.size >= REMEMBERED_MAX) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(text, verified);
  }

  #admit(exchange: Exchange, { validity, values }: Verified): Verdict {
    const seconds = this.#services.wallMs() / 1000;
    if (seconds < validity.fromSeconds) return this.#refuse(exchange, "the token does not hold yet");
    if (seconds >= validity.untilSeconds) return this.#refuse(exchange, "the token has expired");
    return this.#pass(exchange, values);
  }

  /** `values`: null without a token. What the client says in a claim's field never goes on. */
  #pass(exchange: Exchange, values: Verified["values"] | null): Verdict {
    const { request } = exchange;
    if (values !== null && !this.#config.forward) this.#place.remove(request);
    for (let i = 0; i < this.#headers.length; i++) {
      if (this.#write(request, i, values?.[i] ?? null)) continue;
      exchange.respond(500, [], NO_ROOM);
      return REPLY;
    }
    return CONTINUE;
  }

  #write(request: Head, index: number, value: Uint8Array | null): boolean {
    const id = this.#headers[index]?.id ?? 0;
    if (value !== null) return request.set(id, value, 0, value.length);
    request.remove(id);
    return true;
  }

  /** RFC 6750 section 3: no error code where no token came. */
  #refuse(exchange: Exchange, why: string | null): Verdict {
    const realm = `Bearer realm="${this.#config.realm}"`;
    const challenge = why === null ? realm : `${realm}, error="invalid_token", error_description="${why}"`;
    if (why !== null) this.#place.remove(exchange.request);
    return respondChallenge(exchange, challenge, lineOf(why ?? "a token is needed"));
  }
}
