/**
 * Keys that an upstream publishes (RFC 7517), fetched when they are needed and kept for a while:
 *
 *     age      0 ────────── ttl ─────────────── ttl + stale ──▶
 *              used         used, fetched anew   not used: requests wait for the fetch, or get 503
 *
 * A token with an unknown key id asks for the set once more, as after a rotation; not more often than REFETCH_MS, so
 * that invented ids don't become requests. There are no timers: what nobody asks for is not fetched.
 */
import type { FetchResponse } from "#pipeline/filter.ts";
import type { JwksUpstream, JwtAlgorithm } from "#snapshot/builtin-filters.ts";
import type { BuiltinServices } from "#plugins/builtin-filter.ts";
import { KeySet, readKeySet } from "./key-set.ts";

/** Between two fetches that were asked for by an unknown key id, or that follow a failure. */
const REFETCH_MS = 5000;
const OK = 200;

export class JwksSource {
  readonly #spec: JwksUpstream;
  readonly #allowed: readonly JwtAlgorithm[];
  readonly #services: BuiltinServices;
  #keys: KeySet | null = null;
  /** Changes when the keys do: what was verified with others is worth nothing. */
  version = 0;
  #fetchedMs = -Infinity;
  #triedMs = -Infinity;
  #fetching: Promise<void> | null = null;

  constructor(spec: JwksUpstream, allowed: readonly JwtAlgorithm[], services: BuiltinServices) {
    this.#spec = spec;
    this.#allowed = allowed;
    this.#services = services;
  }

  /** What may be used now, or null. Begins to fetch when it is time to. */
  get keys(): KeySet | null {
    const age = this.#services.nowMs() - this.#fetchedMs;
    const { ttlSeconds, staleSeconds } = this.#spec;
    if (age >= ttlSeconds * 1000) this.#refresh();
    return age < (ttlSeconds + staleSeconds) * 1000 ? this.#keys : null;
  }

  /** Settles when the fetch under way has ended, or one that this begins; null when it is too early for another. */
  refreshed(): Promise<void> | null {
    this.#refresh();
    return this.#fetching;
  }

  #refresh(): void {
    const nowMs = this.#services.nowMs();
    if (this.#fetching !== null || nowMs - this.#triedMs < REFETCH_MS) return;
    this.#triedMs = nowMs;
    this.#fetching = this.#fetch().finally(() => {
      this.#fetching = null;
    });
  }

  async #fetch(): Promise<void> {
    const { upstream, path, host, timeoutMs } = this.#spec;
    const headers = [["accept", "application/json"] as const, ...(host === undefined ? [] : [["host", host] as const])];
    const request = { method: "GET", path, headers, body: new Uint8Array(0), timeoutMs };
    const response = await this.#services.fetch(upstream, request);
    const keys = keysOf(response);
    if (typeof keys === "string") {
      this.#services.log("warn", "jwt", `no keys from ${upstream}: ${keys}`);
      return;
    }
    this.#keys = new KeySet(keys, this.#allowed);
    this.#fetchedMs = this.#services.nowMs();
    this.version++;
  }
}

/** The keys, or in words why there are none. */
function keysOf({ status, body, error }: FetchResponse): (ReturnType<typeof readKeySet> & object) | string {
  if (status !== OK) return status === 0 ? error : `it answered ${status}`;
  return readKeySet(Buffer.from(body).toString()) ?? "it answered no JWK set";
}
