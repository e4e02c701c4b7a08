/**
 * `cors` (Fetch standard, "CORS protocol"): answers preflights itself, and says of every other response who may read it.
 * What the upstream says about it is replaced, since two answers would be none. A request from an origin that is not in
 * the list is served as if nothing had been asked: the browser then keeps the response from its script.
 *
 * `exchange.state` holds the index of the origin's rule + 1, or 0.
 */
import { METHOD_OPTIONS, type Head } from "#http/head.ts";
import { internName, ORIGIN, VARY } from "#http/names.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  type Exchange,
  type Verdict,
} from "#pipeline/filter.ts";
import type { CorsConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { lineOf, octetsOf } from "./texts.ts";

const ALLOW_ORIGIN = internName("access-control-allow-origin");
const ALLOW_CREDENTIALS = internName("access-control-allow-credentials");
const EXPOSE_HEADERS = internName("access-control-expose-headers");
const REQUEST_METHOD = internName("access-control-request-method");

const TRUE = octetsOf("true");
const VARY_ORIGIN = octetsOf("origin");
const NOTHING = new Uint8Array(0);
const NO_ROOM = lineOf("the headers do not fit");

/** `https://*.shop.example` in its two parts: the star stands for one label or more. */
interface Rule {
  readonly any: boolean;
  readonly exact: Uint8Array | null;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

export class CorsFilter extends BuiltinFilter {
  readonly #rules: readonly Rule[];
  /** Everyone gets the same answer: it does not vary. */
  readonly #any: boolean;
  readonly #credentials: boolean;
  readonly #exposed: Uint8Array;
  readonly #preflight: readonly (readonly [string, string])[];

  constructor(config: CorsConfig) {
    super("cors", HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD);
    this.#any = config.origins.includes("*");
    this.#rules = this.#any ? [ruleOf("*")] : config.origins.map(ruleOf);
    this.#credentials = config.credentials;
    this.#exposed = octetsOf(config.exposeHeaders.join(", "));
    const preflight: [string, string][] = [["access-control-allow-methods", config.methods.join(", ")]];
    if (config.headers.length > 0) preflight.push(["access-control-allow-headers", config.headers.join(", ")]);
    if (config.credentials) preflight.push(["access-control-allow-credentials", "true"]);
    preflight.push(["access-control-max-age", String(config.maxAgeSeconds)]);
    this.#preflight = preflight;
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    const { request } = exchange;
    const origin = request.find(ORIGIN);
    const rule = origin < 0 ? -1 : this.#ruleFor(request, origin);
    exchange.state[position] = rule + 1;
    const preflight = origin >= 0 && request.method === METHOD_OPTIONS && request.find(REQUEST_METHOD) >= 0;
    if (!preflight) return CONTINUE;
    exchange.respond(204, this.#preflightFor(request, origin, rule), NOTHING);
    return REPLY;
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    if (this.#mark(exchange, (exchange.state[position] as number | null) ?? 0)) return CONTINUE;
    exchange.respond(500, [], NO_ROOM);
    return REPLY;
  }

  #ruleFor(request: Head, origin: number): number {
    const start = request.valueStart(origin);
    const end = request.valueEnd(origin);
    for (let i = 0; i < this.#rules.length; i++) {
      if (matches(this.#rules[i] as Rule, request.memory, start, end)) return i;
    }
    return -1;
  }

  #preflightFor(request: Head, origin: number, rule: number): readonly (readonly [string, string])[] {
    const vary = this.#any ? [] : [["vary", "origin"] as const];
    if (rule < 0) return vary;
    const value = this.#any ? "*" : request.text(request.valueStart(origin), request.valueEnd(origin));
    return [["access-control-allow-origin", value], ...this.#preflight, ...vary];
  }

  /** False when the head had no room for it. */
  #mark(exchange: Exchange, state: number): boolean {
    const { request, response } = exchange;
    response.remove(ALLOW_ORIGIN);
    response.remove(ALLOW_CREDENTIALS);
    response.remove(EXPOSE_HEADERS);
    // Also where nobody may: a cache must not give this answer to who may.
    if (!this.#any && !response.add(VARY, VARY_ORIGIN, 0, VARY_ORIGIN.length)) return false;
    if (state === 0) return true;
    const rule = this.#rules[state - 1] as Rule;
    if (!writeOrigin(rule, request, response)) return false;
    if (this.#credentials && !response.set(ALLOW_CREDENTIALS, TRUE, 0, TRUE.length)) return false;
    return this.#exposed.length === 0 || response.set(EXPOSE_HEADERS, this.#exposed, 0, this.#exposed.length);
  }
}

function writeOrigin(rule: Rule, request: Head, response: Head): boolean {
  if (rule.exact !== null) return response.set(ALLOW_ORIGIN, rule.exact, 0, rule.exact.length);
  const origin = request.find(ORIGIN);
  // A later filter has taken it off the request: then nothing is known to be allowed.
  if (origin < 0 || !matches(rule, request.memory, request.valueStart(origin), request.valueEnd(origin))) return true;
  return response.set(ALLOW_ORIGIN, request.memory, request.valueStart(origin), request.valueEnd(origin));
}

function ruleOf(origin: string): Rule {
  const star = origin === "*" ? -1 : origin.indexOf("*");
  return {
    any: origin === "*",
    exact: star < 0 ? octetsOf(origin) : null,
    before: octetsOf(star < 0 ? "" : origin.slice(0, star)),
    after: octetsOf(star < 0 ? "" : origin.slice(star + 1)),
  };
}

function matches(rule: Rule, memory: Uint8Array, start: number, end: number): boolean {
  if (rule.any) return true;
  if (rule.exact !== null) return end - start === rule.exact.length && holds(rule.exact, memory, start);
  const { before, after } = rule;
  if (end - start <= before.length + after.length) return false;
  if (!holds(before, memory, start) || !holds(after, memory, end - after.length)) return false;
  for (let i = start + before.length; i < end - after.length; i++) {
    if (!isOfHost(memory[i] as number)) return false;
  }
  return true;
}

/** Browsers write origins in lower case; labels, and the dots between them. */
function isOfHost(octet: number): boolean {
  const letter = octet >= 0x61 && octet <= 0x7a;
  const digit = octet >= 0x30 && octet <= 0x39;
  return letter || digit || octet === 0x2d || octet === 0x2e || octet === 0x5f;
}

function holds(text: Uint8Array, memory: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (memory[at + i] !== text[i]) return false;
  return true;
}
