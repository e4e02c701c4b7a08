/**
 * Things that are dear to make, by what they are made of: what a prepared snapshot shares with the one in force is taken over,
 * and freed when neither needs it.
 */
export class Kept<T> {
  readonly #free: (one: T) => void;
  #inForce = new Map<string, T>();
  #staged = new Map<string, T>();

  constructor(free: (one: T) => void) {
    this.#free = free;
  }

  /** For the snapshot being prepared. `make` may throw. */
  take(identity: string, make: () => T): T {
    const known = this.#staged.get(identity) ?? this.#inForce.get(identity) ?? make();
    this.#staged.set(identity, known);
    return known;
  }

  /** The prepared snapshot is in force. */
  commit(): void {
    for (const [identity, one] of this.#inForce) if (this.#staged.get(identity) !== one) this.#free(one);
    this.#inForce = this.#staged;
    this.#staged = new Map();
  }

  /** It will not be. */
  abort(): void {
    for (const [identity, one] of this.#staged) if (this.#inForce.get(identity) !== one) this.#free(one);
    this.#staged = new Map();
  }
}
