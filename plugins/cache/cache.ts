/**
 * `cache`: a shared cache in memory (RFC 9111), of this worker and this route. Says in Cache-Status (RFC 9211) what it did.
 *
 *     request ─▶ fresh? ── yes ─▶ answered from memory
 *                  │ stale, or not there: one asks, the others wait or are given the stale one
 *                  ▼
 *               upstream ─▶ 304: freshened, answered from memory · storable: kept as it passes · error: the stale one
 *
 * What an exchange is about stands in `exchange.state`.
 */
import { METHOD_GET, METHOD_HEAD, type Head } from "#http/head.ts";
import { internName, SET_COOKIE, TRAILER } from "#http/names.ts";
import { SAME_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type CachedResponses,
  type Exchange,
  type Verdict,
} from "#pipeline/filter.ts";
import { BuiltinFilter, type BuiltinServices } from "#plugins/builtin-filter.ts";
import { conditionOf, PRECONDITION_FAILED, PROCEED, rangeHolds } from "#plugins/conditions.ts";
import { rangesOf } from "#plugins/ranges.ts";
import { lineOf, octetsOf } from "#plugins/texts.ts";
import type { CacheConfig } from "#snapshot/builtin-filters.ts";
import { FillStage, MemorySource } from "./bodies.ts";
import { ageOf, dated, entryOf, freshened, storedFields, varyOf, type Entry, type Fields } from "./entry.ts";
import { bypasses, isForbidden, isSafe, isStorable, mayHideError, requestDirectives, useOf } from "./policy.ts";
import { Store } from "./store.ts";
import { Waiting } from "./waiting.ts";

const CACHE_STATUS = internName("cache-status");
const NOTHING = new Uint8Array(0);
const NOT_CACHED = lineOf("this is not in the cache");
/** Heads beyond this are not kept: a local reply has room for one buffer. */
const HEAD_BYTES_MAX = 8192;
/** A client's conditions, which are its own when the gateway asks with others. */
const CONDITIONS = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"].map(
  (name) => ({
    name,
    id: internName(name),
  }),
);
const IF_NONE_MATCH = internName("if-none-match");
const IF_MODIFIED_SINCE = internName("if-modified-since");
const NOT_MODIFIED = 304;
const ERROR = 500;

/** What one exchange asks the upstream for. */
interface Asking {
  readonly key: string;
  readonly sentMs: number;
  /** `miss`, `stale`, `request` or `bypass` (RFC 9211 section 2.2). */
  readonly forward: string;
  /** What it would replace; validated when `conditions` is not null. */
  readonly old: Entry | null;
  /** The client's own, in place of which the cache's were sent. */
  readonly conditions: Fields | null;
  /** Others wait for it. */
  leads: boolean;
  /** What was asked for before a purge is not kept: it may be what was to be forgotten. */
  readonly era: number;
}

export class CacheFilter extends BuiltinFilter {
  readonly #config: CacheConfig;
  readonly #services: BuiltinServices;
  readonly #store: Store;
  readonly #waiting = new Waiting();
  #era = 0;
  #hits = 0;

  constructor(config: CacheConfig, services: BuiltinServices) {
    super("cache", HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD | HOOK_END);
    this.#config = config;
    this.#services = services;
    this.#store = new Store(config.bytesMax);
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    return this.#decide(exchange, position, this.#config.coalesceMs > 0);
  }

  /** `patient`: may wait for another that asks the same. */
  #decide(exchange: Exchange, position: number, patient: boolean): Verdict {
    const { request } = exchange;
    const key = keyOf(request);
    const directives = requestDirectives(request);
    const readable = request.method === METHOD_GET || request.method === METHOD_HEAD;
    if (!readable || bypasses(request, directives))
      return this.#forward(exchange, position, key, "bypass", null, false);
    const found = this.#store.find(key, request);
    const entry = found !== null && (found.shareable || request.get("authorization") === undefined) ? found : null;
    const use = entry === null ? null : useOf(entry, directives, this.#services.wallMs(), this.#config);
    if (entry !== null && use === "fresh") return this.#hit(exchange, entry, "hit");
    if (directives.has.has("only-if-cached")) {
      exchange.respond(504, [["cache-status", "penstock; fwd=miss"]], NOT_CACHED);
      return REPLY;
    }
    // Parts, and HEAD, fill nothing: nobody waits for them.
    const fills = request.method === METHOD_GET && request.get("range") === undefined;
    const leads = fills && this.#waiting.lead(key);
    if (entry !== null && use === "stale" && !leads) return this.#hit(exchange, entry, "hit; detail=stale");
    if (!leads && fills && patient) return this.#follow(exchange, position, key);
    const forward =
      entry === null ? "uri-miss" : use === "validate" && isFresh(entry, this.#services.wallMs()) ? "request" : "stale";
    return this.#forward(exchange, position, key, found !== null && entry === null ? "bypass" : forward, entry, leads);
  }

  #follow(exchange: Exchange, position: number, key: string): Verdict {
    this.#waiting.follow(key, this.#config.coalesceMs, () => {
      // Those who come after it may wait for another that asks; this one has waited.
      if (!exchange.ended) exchange.resume(this.#decide(exchange, position, false));
    });
    return SUSPEND;
  }

  #forward(
    exchange: Exchange,
    position: number,
    key: string,
    forward: string,
    old: Entry | null,
    leads: boolean,
  ): Verdict {
    const conditions = old === null ? null : this.#validate(exchange.request, old);
    const sentMs = this.#services.wallMs();
    exchange.state[position] = { key, sentMs, forward, old, conditions, leads, era: this.#era } satisfies Asking;
    return CONTINUE;
  }

  /** RFC 9111 section 4.3.1: asks whether it still holds. Null where there is nothing to ask by. */
  #validate(request: Head, { validators }: Entry): Fields | null {
    const { etag, modifiedMs } = validators;
    if (etag === "" && Number.isNaN(modifiedMs)) return null;
    const conditions: (readonly [string, string])[] = [];
    for (const { name, id } of CONDITIONS) {
      const value = request.get(name);
      if (value !== undefined) conditions.push([name, value]);
      request.remove(id);
    }
    if (etag !== "") {
      const value = octetsOf(etag);
      request.set(IF_NONE_MATCH, value, 0, value.length);
    } else {
      const value = octetsOf(new Date(modifiedMs).toUTCString());
      request.set(IF_MODIFIED_SINCE, value, 0, value.length);
    }
    return conditions;
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    const asking = (exchange.state[position] ?? null) as Asking | null;
    if (asking === null) return CONTINUE;
    const { request, response } = exchange;
    const { key, old, conditions } = asking;
    const { status } = response;
    const nowMs = this.#services.wallMs();
    if (old !== null && status >= ERROR && mayHideError(old, nowMs, this.#config)) {
      this.#restore(request, conditions);
      this.#settle(asking);
      return this.#hit(exchange, old, `hit; fwd=${asking.forward}; fwd-status=${status}`);
    }
    const fields = dated(storedFields(response.entries(), this.#config.setCookie), nowMs);
    if (old !== null && conditions !== null && status === NOT_MODIFIED) {
      const age = response.get("age");
      const entry = freshened(old, fields, age, [asking.sentMs, nowMs], this.#config.ttlSeconds);
      this.#restore(request, conditions);
      // A 304 may also say that it must not be kept any longer.
      if (isForbidden(entry.directives)) this.#store.delete(key);
      else if (asking.era === this.#era) this.#store.put(key, entry, request, old);
      this.#settle(asking);
      return this.#hit(exchange, entry, `hit; fwd=${asking.forward}; fwd-status=304`);
    }
    if (!isSafe(request.method) && status >= 200 && status < 400) this.#invalidate(key, request, response);
    const stored = this.#fill(exchange, asking, fields, nowMs);
    if (!stored) this.#settle(asking);
    const said = octetsOf(`penstock; fwd=${asking.forward}; fwd-status=${status}${stored ? "; stored" : ""}`);
    response.add(CACHE_STATUS, said, 0, said.length);
    return CONTINUE;
  }

  /** The client has gone, or a later filter has answered: who waits must not wait for it. */
  override end(exchange: Exchange, position: number): void {
    const asking = (exchange.state[position] ?? null) as Asking | null;
    if (asking !== null) this.#settle(asking);
  }

  #settle(asking: Asking): void {
    if (!asking.leads) return;
    asking.leads = false;
    this.#waiting.settle(asking.key);
  }

  /** For who else looks at the request: the client's own conditions again. */
  #restore(request: Head, conditions: Fields | null): void {
    if (conditions === null) return;
    for (const { id } of CONDITIONS) request.remove(id);
    for (const [name, text] of conditions) {
      const value = octetsOf(text);
      request.set(internName(name), value, 0, value.length);
    }
  }

  /** Keeps the response as it passes, if it may. */
  #fill(exchange: Exchange, asking: Asking, fields: Fields, receivedMs: number): boolean {
    const { request, response } = exchange;
    const { status } = response;
    // Looked for here: the fields to be stored are without it.
    if (response.find(SET_COOKIE) >= 0 && !this.#config.setCookie) return false;
    const vary = varyOf(response.get("vary"), request);
    const headBytes = fields.reduce((sum, [name, value]) => sum + name.length + value.length + 4, 0);
    if (vary === null || headBytes > HEAD_BYTES_MAX || !isStorable(request, status, fields, this.#config)) return false;
    const { bytesMax, objectBytesMax, ttlSeconds } = this.#config;
    const limit = Math.min(objectBytesMax, bytesMax);
    if (response.contentLength > limit) return false;
    const age = response.get("age");
    const fill = new FillStage(limit, (body, trailers) => {
      if (body !== null && asking.era === this.#era) {
        const { key, sentMs: requestedMs, old } = asking;
        const entry = entryOf({ status, fields, body, trailers, requestedMs, receivedMs, vary, age, ttlSeconds });
        this.#store.put(key, entry, request, old);
      }
      this.#settle(asking);
    });
    exchange.filterResponseBody(fill, SAME_LENGTH);
    return true;
  }

  purge(which: CachedResponses): number {
    this.#era++;
    return this.#store.purge((key) => isMeant(key, which));
  }

  override counters(): Readonly<Record<string, number>> {
    return { cache_bytes_in_use: this.#store.bytes, cache_hits: this.#hits };
  }

  /** RFC 9111 section 4.4: also what Location and Content-Location name, of the same host. */
  #invalidate(key: string, request: Head, response: Head): void {
    this.#store.delete(key);
    const base = `http://${key}`;
    for (const name of ["location", "content-location"]) {
      const value = response.get(name);
      const url = value === undefined ? null : URL.parse(value, base);
      if (url === null || url.host !== URL.parse(base)?.host) continue;
      this.#store.delete(`${hostOf(request)}${url.pathname}${url.search}`);
    }
  }

  /** Answers from memory, by the client's conditions and range. */
  #hit(exchange: Exchange, entry: Entry, status: string): Verdict {
    this.#hits++;
    const { request } = exchange;
    const nowMs = this.#services.wallMs();
    const age = Math.max(0, Math.floor(ageOf(entry, nowMs)));
    const ttl = Math.floor(entry.lifetimeSeconds - ageOf(entry, nowMs));
    const fields: Fields = [...entry.fields, ["age", String(age)], ["cache-status", `penstock; ${status}; ttl=${ttl}`]];
    const condition = entry.status === 200 ? conditionOf(request, entry.validators) : PROCEED;
    if (condition !== PROCEED) {
      exchange.respond(condition, condition === PRECONDITION_FAILED ? [] : fields, NOTHING);
      return REPLY;
    }
    const { body, trailers } = entry;
    const asked = entry.status === 200 && rangeHolds(request, entry.validators) ? request.get("range") : undefined;
    const ranges = request.method === METHOD_GET ? rangesOf(asked, body.length) : null;
    const [only] = ranges ?? [];
    if (ranges?.length === 0) {
      exchange.respond(416, [["content-range", `bytes */${body.length}`]], NOTHING);
    } else if (ranges?.length === 1 && only !== undefined) {
      const part = body.subarray(only.first, only.last + 1);
      const range = ["content-range", `bytes ${only.first}-${only.last}/${body.length}`] as const;
      exchange.respondFrom(206, [...fields, range], part.length, new MemorySource(part));
    } else {
      exchange.respondFrom(entry.status, fields, body.length, new MemorySource(body, trailers));
      const names = octetsOf(Array.from(new Set(trailers.map(([name]) => name))).join(", "));
      if (names.length > 0) exchange.response.add(TRAILER, names, 0, names.length);
    }
    return REPLY;
  }
}

/** `key`: of `keyOf`. */
function isMeant(key: string, { host, path, prefix }: CachedResponses): boolean {
  const slash = key.indexOf("/");
  if (host !== undefined && key.slice(0, slash) !== host) return false;
  const target = key.slice(slash);
  if (prefix !== undefined) return target.startsWith(prefix);
  return path === undefined || target === path || target.startsWith(`${path}?`);
}

function isFresh(entry: Entry, nowMs: number): boolean {
  return ageOf(entry, nowMs) < entry.lifetimeSeconds;
}

/** One route is one scheme for all purposes of a cache: host and target. */
function keyOf(request: Head): string {
  return `${hostOf(request)}${request.pathText()}${request.hasQuery ? `?${request.queryText()}` : ""}`;
}

function hostOf(request: Head): string {
  return request.port === 0 ? request.hostText() : `${request.hostText()}:${request.port}`;
}
