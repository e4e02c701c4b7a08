/**
 * What is new in a list, for who has the one before: runs of the old list, each with what stands behind it.
 *
 *     before   [ a b c d e f ]        [0, 2, X] [3, 3]        two from the start, X, then three from the fourth on
 *     after    [ a b X d e f ]
 *
 * Entries count as the same when they are the same object, or equal texts. A list in another order is many runs: right, and
 * nothing gained.
 */
export type Run = readonly [from: number, count: number, ...then: unknown[]];
export type ListPatch = readonly Run[];

export function listPatch(before: readonly unknown[], after: readonly unknown[]): ListPatch {
  const runs: Run[] = [];
  const old = new OldList(before);
  let from = 0;
  let at = 0;
  do {
    const start = from;
    while (from < before.length && at < after.length && before[from] === after[at]) {
      from++;
      at++;
    }
    const run: [number, number, ...unknown[]] = [start, from - start];
    runs.push(run);
    while (at < after.length) {
      const place = old.placeOf(after[at], from, at + 1 < after.length ? after[at + 1] : undefined);
      if (place >= 0) {
        from = place;
        break;
      }
      run.push(after[at]);
      at++;
    }
  } while (at < after.length);
  return runs;
}

/** The list itself where nothing is new; else one that shares its entries. Throws when a run is not of this list. */
export function patchedList(before: readonly unknown[], patch: ListPatch): readonly unknown[] {
  const [only] = patch;
  if (patch.length === 1 && only?.length === 2 && only[0] === 0 && only[1] === before.length) return before;
  const after: unknown[] = [];
  for (const [from, count, ...then] of patch) {
    if (from + count > before.length) throw new RangeError(`a run ends at ${from + count} of ${before.length} entries`);
    for (let i = from; i < from + count; i++) after.push(before[i]);
    for (const entry of then) after.push(entry);
  }
  return after;
}

export interface ListDifference<T> {
  /** Of the list before, in order. */
  readonly gone: readonly T[];
  /** Of the list after, in order, with their places. */
  readonly fresh: readonly { readonly place: number; readonly entry: T }[];
  /** Something of the list before is there more than once. */
  readonly repeats: boolean;
}

/** What makes the difference; what has only moved may count as both gone and fresh. */
export function listDifference<T>(before: readonly T[], after: readonly T[]): ListDifference<T> {
  const patch = listPatch(before, after);
  const fresh: { place: number; entry: T }[] = [];
  let place = 0;
  for (const [, count, ...then] of patch) {
    place += count;
    for (const entry of then) fresh.push({ place: place++, entry: entry as T });
  }
  const gone: T[] = [];
  let next = 0;
  let repeats = false;
  for (const [from, count] of patch.toSorted(([a], [b]) => a - b)) {
    if (count === 0) continue;
    repeats ||= from < next;
    for (; next < from; next++) gone.push(before[next] as T);
    next = Math.max(next, from + count);
  }
  for (; next < before.length; next++) gone.push(before[next] as T);
  return { gone, fresh, repeats };
}

/** Runs and entries: what a patch weighs. */
export function patchSize(patch: ListPatch): number {
  return patch.reduce((sum, run) => sum + run.length - 1, 0);
}

class OldList {
  readonly #entries: readonly unknown[];
  #places: Map<unknown, number> | undefined;

  constructor(entries: readonly unknown[]) {
    this.#entries = entries;
  }

  /** Where to go on with `entry` when the last run ended in front of `from`; −1: it is new. `next`: what follows it, if anything does. */
  placeOf(entry: unknown, from: number, next: unknown): number {
    const near = this.#near(entry, from);
    // Mostly one entry is new and the list goes on behind it: then it is not looked for elsewhere.
    if (near >= 0 || next === undefined || this.#near(next, from) >= 0) return near;
    this.#places ??= new Map(this.#entries.map((known, place) => [known, place]));
    return this.#places.get(entry) ?? -1;
  }

  #near(entry: unknown, from: number): number {
    for (let place = from; place <= from + 1 && place < this.#entries.length; place++) {
      if (this.#entries[place] === entry) return place;
    }
    return -1;
  }
}
