/**
 * A map that is nearly always of one entry: the first stands in the object itself, a Map is made for the second. Most
 * hosts have one path, most paths one group, most groups one route; with Maps throughout, filing 10 000 routes spent
 * most of its time making and collecting empty ones.
 */
export class OneOrMore<V> {
  readonly #key: string;
  readonly #value: V;
  #rest: Map<string, V> | null = null;

  constructor(key: string, value: V) {
    this.#key = key;
    this.#value = value;
  }

  get(key: string): V | undefined {
    return key === this.#key ? this.#value : this.#rest?.get(key);
  }

  /** The key must not be there yet. */
  add(key: string, value: V): void {
    this.#rest ??= new Map();
    this.#rest.set(key, value);
  }

  get size(): number {
    return 1 + (this.#rest?.size ?? 0);
  }

  /** In the order in which they came. */
  entries(): [string, V][] {
    const first: [string, V] = [this.#key, this.#value];
    return this.#rest === null ? [first] : [first, ...this.#rest];
  }

  values(): V[] {
    return this.#rest === null ? [this.#value] : [this.#value, ...this.#rest.values()];
  }
}
