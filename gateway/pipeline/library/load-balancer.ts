/**
 * Targets that share what comes, for scripts. A target is whatever the script says: an address, or an object with all
 * that it wants to know of one.
 *
 *     const balancer = new LoadBalancer(["127.0.0.1:8080", "127.0.0.1:8082"], { algorithm: "round-robin" })
 *     const { target } = balancer.allocate()
 *
 *     const pool = new LoadBalancer(backends, { key: b => b.address, weight: b => b.weight, capacity: 100, algorithm: "least-load" })
 *     const resource = pool.allocate(sessionId)     // the same session, the same backend
 *     …
 *     resource.free()
 *
 * What is allocated and not freed counts as load, for `least-load` and `capacity`. Of one worker.
 */
import { libraryError } from "#core/errors/library.ts";
import { Cache } from "./cache.ts";
import { strategyOf, type Algorithm, type Entry, type Strategy } from "./strategies.ts";

export interface LoadBalancerOptions<T> {
  /** `round-robin` unless given. `hash` and `maglev` choose by the tag. */
  readonly algorithm?: Algorithm;
  /** What a target is known by when it comes again; the target itself unless given. */
  readonly key?: (target: T) => unknown;
  /** From 0, which gets nothing; 1 unless given. */
  readonly weight?: (target: T) => number;
  /** How much a target may have at one time; no bound unless given. */
  readonly capacity?: number | ((target: T) => number);
  /** Who has which target, for `round-robin` and `least-load` with tags; 10 000 of its own unless given. */
  readonly sessionCache?: Cache<unknown, unknown>;
}

/** What is left out: a `Set` or a `Cache` of keys. */
export interface Excluded {
  has(key: unknown): boolean;
}

/** What `allocate` answers. */
export class Allocation<T> {
  /** Undefined when no target can take any more. */
  readonly target: T | undefined;
  #entry: Entry<T> | null;

  constructor(entry: Entry<T> | null) {
    this.target = entry?.target;
    this.#entry = entry;
    if (entry !== null) entry.load++;
  }

  /** Gives it back; once more does nothing. */
  free(): void {
    if (this.#entry !== null) this.#entry.load--;
    this.#entry = null;
  }
}

export class LoadBalancer<T> {
  readonly #options: LoadBalancerOptions<T>;
  readonly #sessions: Cache<unknown, unknown>;
  readonly #unhealthy = new Set<unknown>();
  #entries: readonly Entry<T>[] = [];
  #strategy: Strategy<T>;

  /** Throws PENSTOCK_LIBRARY_TARGETS. */
  constructor(targets: readonly T[], options: LoadBalancerOptions<T> = {}) {
    this.#options = options;
    this.#sessions = options.sessionCache ?? new Cache();
    this.#strategy = strategyOf(options.algorithm ?? "round-robin", []);
    this.provision(targets);
  }

  /** Replaces all targets. Those whose key stays keep their load and their health. Throws PENSTOCK_LIBRARY_TARGETS. */
  provision(targets: readonly T[]): void {
    const before = new Map(this.#entries.map((entry) => [entry.key, entry]));
    const entries = targets.map((target) => this.#entryOf(target, before));
    const keys = new Set(entries.map(({ key }) => key));
    if (keys.size !== entries.length)
      throw libraryError("PENSTOCK_LIBRARY_TARGETS", { detail: "a key stands there twice" });
    const strategy = strategyOf(this.#options.algorithm ?? "round-robin", entries);
    this.#entries = entries;
    this.#strategy = strategy;
    for (const key of this.#unhealthy) if (!keys.has(key)) this.#unhealthy.delete(key);
  }

  /** A target that can take one more. With a tag, the same one as long as it can; `excluded` has keys to leave out. */
  allocate(tag?: unknown, excluded?: Excluded): Allocation<T> {
    return new Allocation(this.#choose(tag, excluded));
  }

  /** An unhealthy target gets nothing until it is healthy again. */
  setHealthy(key: unknown, healthy: boolean): void {
    if (healthy) this.#unhealthy.delete(key);
    else if (this.#entries.some((entry) => entry.key === key)) this.#unhealthy.add(key);
  }

  /** Whom the next `size` allocations would get. Nothing is allocated. */
  schedule(size: number): T[] {
    const loads = this.#entries.map(({ load, score }) => ({ load, score }));
    const chosen: T[] = [];
    for (let i = 0; i < size; i++) {
      const entry = this.#strategy.pick(undefined, (one) => this.#open(one, undefined));
      if (entry === null) break;
      entry.load++;
      chosen.push(entry.target);
    }
    this.#entries.forEach((entry, i) => Object.assign(entry, loads[i]));
    return chosen;
  }

  #choose(tag: unknown, excluded: Excluded | undefined): Entry<T> | null {
    const open = (entry: Entry<T>): boolean => this.#open(entry, excluded);
    if (tag === undefined || this.#strategy.byTag) return this.#strategy.pick(tag, open);
    const key = this.#sessions.get(tag);
    const kept = key === undefined ? undefined : this.#entries.find((entry) => entry.key === key);
    if (kept !== undefined && open(kept)) return kept;
    const entry = this.#strategy.pick(tag, open);
    if (entry !== null) this.#sessions.set(tag, entry.key);
    return entry;
  }

  #open(entry: Entry<T>, excluded: Excluded | undefined): boolean {
    return (
      entry.weight > 0 &&
      entry.load < entry.capacity &&
      !this.#unhealthy.has(entry.key) &&
      (excluded === undefined || !excluded.has(entry.key))
    );
  }

  #entryOf(target: T, before: ReadonlyMap<unknown, Entry<T>>): Entry<T> {
    const { key: keyOf, weight: weightOf, capacity: limit } = this.#options;
    const key: unknown = keyOf === undefined ? target : keyOf(target);
    const weight = weightOf === undefined ? 1 : weightOf(target);
    const capacity = limit === undefined ? Infinity : typeof limit === "number" ? limit : limit(target);
    if (!(weight >= 0) || !(capacity >= 1)) {
      const detail = `${JSON.stringify(key)} has weight ${weight} and capacity ${capacity}`;
      throw libraryError("PENSTOCK_LIBRARY_TARGETS", { detail });
    }
    const kept = before.get(key);
    // The same object, so that what is allocated already is given back to it.
    if (kept !== undefined) return Object.assign(kept, { target, weight, capacity, score: 0 });
    return { target, key, weight, capacity, load: 0, score: 0 };
  }
}
