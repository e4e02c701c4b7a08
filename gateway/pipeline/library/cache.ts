/**
 * Values by key that make themselves and are forgotten: by age, and the least recently used when there are too many.
 * Of one worker; nothing is shared between workers.
 *
 *     const backends = new Cache((host: string) => new LoadBalancer(lookUp(host)), { ttl: "1m", size: 1000 })
 *     backends.get("shop.example")
 *
 * Keys are compared as by `Map`: text and numbers by value, objects by identity.
 */
import { libraryError } from "#core/errors/library.ts";
import { durationMs, type Duration } from "./duration.ts";

export interface CacheOptions<K, V> {
  /** Entries at the most; 10 000 unless given. */
  readonly size?: number;
  /** How long an entry lives after it was set; for ever unless given. */
  readonly ttl?: Duration;
  /** Called with every entry that goes: replaced, removed, displaced, or found to be too old. */
  readonly onFree?: (key: K, value: V) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

interface Entry<V> {
  readonly value: V;
  readonly expiresMs: number;
}

const SIZE_DEFAULT = 10_000;

export class Cache<K, V> {
  /** In order of use: the least recently used first. */
  readonly #entries = new Map<K, Entry<V>>();
  readonly #allocate: ((key: K) => V) | null;
  readonly #onFree: ((key: K, value: V) => void) | null;
  readonly #size: number;
  readonly #ttlMs: number;
  readonly #now: () => number;

  /** `allocate` makes the value of a key that is asked for and not there. Throws PENSTOCK_LIBRARY_OPTION. */
  constructor(allocate?: ((key: K) => V) | null, options: CacheOptions<K, V> = {}) {
    const { size = SIZE_DEFAULT, ttl, onFree, now } = options;
    if (!Number.isSafeInteger(size) || size < 1) {
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail: `size is ${size}: a whole number from 1 up` });
    }
    this.#allocate = allocate ?? null;
    this.#onFree = onFree ?? null;
    this.#size = size;
    this.#ttlMs = ttl === undefined ? Infinity : durationMs("ttl", ttl);
    this.#now = now ?? (() => performance.now());
  }

  /** How many there are, those too old included that nobody has asked for since. */
  get size(): number {
    return this.#entries.size;
  }

  /** The value; made when it is not there and there is a function to make it, else undefined. */
  get(key: K): V | undefined {
    const entry = this.#live(key);
    if (entry !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      return entry.value;
    }
    if (this.#allocate === null) return undefined;
    const value = this.#allocate(key);
    this.set(key, value);
    return value;
  }

  /** Whether it is there. It does not count as a use. */
  has(key: K): boolean {
    return this.#live(key) !== undefined;
  }

  set(key: K, value: V): void {
    this.remove(key);
    if (this.#entries.size >= this.#size) {
      const [oldest] = this.#entries.keys();
      this.remove(oldest as K);
    }
    this.#entries.set(key, { value, expiresMs: this.#now() + this.#ttlMs });
  }

  /** Whether it was there. */
  remove(key: K): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#entries.delete(key);
    this.#onFree?.(key, entry.value);
    return true;
  }

  clear(): void {
    const gone = [...this.#entries];
    this.#entries.clear();
    if (this.#onFree !== null) for (const [key, { value }] of gone) this.#onFree(key, value);
  }

  #live(key: K): Entry<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.expiresMs > this.#now()) return entry;
    this.remove(key);
    return undefined;
  }
}
