/** How a `LoadBalancer` chooses. One suite runs over all of them (test/unit/pipeline/load-balancer.test.ts). */
import { hashText } from "#core/hash.ts";
import { libraryError } from "#core/errors/library.ts";
import { maglevTable } from "#core/maglev.ts";

export type Algorithm = "round-robin" | "least-load" | "hash" | "maglev";

export interface Entry<T> {
  target: T;
  readonly key: unknown;
  weight: number;
  capacity: number;
  /** Allocated and not freed. */
  load: number;
  /** The strategy's own. */
  score: number;
}

export interface Strategy<T> {
  /** Chooses by the tag; without one it takes turns. */
  readonly byTag: boolean;
  /** One of those that are `open`, or null. */
  pick(tag: unknown, open: (entry: Entry<T>) => boolean): Entry<T> | null;
}

export function strategyOf<T>(algorithm: Algorithm, entries: readonly Entry<T>[]): Strategy<T> {
  switch (algorithm) {
    case "round-robin":
      return new RoundRobin(entries);
    case "least-load":
      return new LeastLoad(entries);
    case "hash":
      return new Rendezvous(entries);
    case "maglev":
      return new Maglev(entries);
    default: {
      const detail = `algorithm is ${JSON.stringify(algorithm)}: round-robin, least-load, hash or maglev`;
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail });
    }
  }
}

/** Smooth weighted turns: each pick adds every weight to its score, takes the highest, and subtracts the sum from it. */
class RoundRobin<T> implements Strategy<T> {
  readonly byTag = false;
  readonly #entries: readonly Entry<T>[];

  constructor(entries: readonly Entry<T>[]) {
    this.#entries = entries;
  }

  pick(_tag: unknown, open: (entry: Entry<T>) => boolean): Entry<T> | null {
    let best: Entry<T> | null = null;
    let sum = 0;
    for (const entry of this.#entries) {
      if (!open(entry)) continue;
      entry.score += entry.weight;
      sum += entry.weight;
      if (best === null || entry.score > best.score) best = entry;
    }
    if (best !== null) best.score -= sum;
    return best;
  }
}

/** The least load for its weight; among equals, who was chosen longest ago. */
class LeastLoad<T> implements Strategy<T> {
  readonly byTag = false;
  readonly #entries: readonly Entry<T>[];
  #turn = 0;

  constructor(entries: readonly Entry<T>[]) {
    this.#entries = entries;
  }

  pick(_tag: unknown, open: (entry: Entry<T>) => boolean): Entry<T> | null {
    let best: Entry<T> | null = null;
    for (const entry of this.#entries) {
      if (!open(entry)) continue;
      if (best === null || isLess(entry, best)) best = entry;
    }
    if (best !== null) best.score = ++this.#turn;
    return best;
  }
}

function isLess<T>(a: Entry<T>, b: Entry<T>): boolean {
  const [left, right] = [a.load * b.weight, b.load * a.weight];
  return left < right || (left === right && a.score < b.score);
}

/**
 * Highest random weight (D. Thaler, C. Ravishankar, 1998), weighted as in draft-ietf-bess-weighted-hrw: each target has
 * a number of its own for each tag, and the best one wins. When a target goes, only its own tags move.
 */
class Rendezvous<T> implements Strategy<T> {
  readonly byTag = true;
  readonly #entries: readonly Entry<T>[];
  readonly #turns: RoundRobin<T>;

  constructor(entries: readonly Entry<T>[]) {
    for (const entry of entries) textOf(entry.key);
    this.#entries = entries;
    this.#turns = new RoundRobin(entries);
  }

  pick(tag: unknown, open: (entry: Entry<T>) => boolean): Entry<T> | null {
    if (tag === undefined) return this.#turns.pick(tag, open);
    const text = String(tag);
    let best: Entry<T> | null = null;
    let most = -Infinity;
    for (const entry of this.#entries) {
      if (!open(entry)) continue;
      // A number from above 0 to below 1; its logarithm makes shares go by weight.
      const draw = (hashText(`${textOf(entry.key)}\n${text}`) + 0.5) / 2 ** 32;
      const worth = -entry.weight / Math.log(draw);
      if (worth > most) [best, most] = [entry, worth];
    }
    return best;
  }
}

/** Prime; a hundred times as many as targets, up to 50. */
const SLOTS_FEW = 5_003;
const SLOTS = 65_537;
const FEW = 50;

/** One step for a tag, and equal shares to a slot (`core/maglev.ts`); who can't take it leaves it to the next slot's owner. */
class Maglev<T> implements Strategy<T> {
  readonly byTag = true;
  readonly #entries: readonly Entry<T>[];
  readonly #table: Uint16Array;
  readonly #turns: RoundRobin<T>;

  constructor(entries: readonly Entry<T>[]) {
    this.#entries = entries.filter(({ weight }) => weight > 0);
    this.#turns = new RoundRobin(entries);
    const slots = this.#entries.length <= FEW ? SLOTS_FEW : SLOTS;
    const members = this.#entries.map(({ key, weight }) => ({
      start: hashText(textOf(key), 1) % slots,
      step: (hashText(textOf(key), 2) % (slots - 1)) + 1,
      weight,
    }));
    this.#table = members.length === 0 ? new Uint16Array(0) : maglevTable(members, slots);
  }

  pick(tag: unknown, open: (entry: Entry<T>) => boolean): Entry<T> | null {
    if (tag === undefined) return this.#turns.pick(tag, open);
    if (!this.#entries.some(open)) return null;
    let at = hashText(String(tag)) % this.#table.length;
    for (;;) {
      const entry = this.#entries[this.#table[at] as number] as Entry<T>;
      if (open(entry)) return entry;
      at = (at + 1) % this.#table.length;
    }
  }
}

/** Hashing needs text: an object would be another one in each worker. */
function textOf(key: unknown): string {
  if (typeof key === "string" || typeof key === "number") return String(key);
  throw libraryError("PENSTOCK_LIBRARY_TARGETS", {
    detail: "targets that are chosen by hash need a `key` that is text",
  });
}
