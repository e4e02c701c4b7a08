/**
 * Stored responses by key, bounded in bytes: what was used longest ago goes first. A key has several entries where
 * responses vary by request fields.
 */
import type { Head } from "#http/head.ts";
import { suits, type Entry } from "./entry.ts";

const VARIANTS_MAX = 16;

export class Store {
  /** In order of use: the map's first key was used longest ago. */
  readonly #entries = new Map<string, Entry[]>();
  readonly #bytesMax: number;
  bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  find(key: string, request: Head): Entry | null {
    const variants = this.#entries.get(key);
    if (variants === undefined) return null;
    this.#entries.delete(key);
    this.#entries.set(key, variants);
    // The youngest first: section 4.1 of RFC 9111.
    return variants.find((entry) => suits(entry, request)) ?? null;
  }

  /** In place of `old`, if there is one, and of what the same requests would find. */
  put(key: string, entry: Entry, request: Head, old: Entry | null = null): void {
    const variants = (this.#entries.get(key) ?? []).filter((one) => one !== old && !suits(one, request));
    const kept = [entry, ...variants].slice(0, VARIANTS_MAX);
    this.delete(key);
    this.#entries.set(key, kept);
    for (const one of kept) this.bytes += one.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  /** Those of the keys that are meant; how many there were. */
  purge(isMeant: (key: string) => boolean): number {
    let count = 0;
    for (const key of this.#entries.keys()) if (isMeant(key)) count += this.delete(key);
    return count;
  }

  /** How many entries there were. */
  delete(key: string): number {
    const variants = this.#entries.get(key);
    if (variants === undefined) return 0;
    this.#entries.delete(key);
    for (const one of variants) this.bytes -= one.bytes;
    return variants.length;
  }
}
