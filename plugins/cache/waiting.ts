/**
 * Requests for the same key that wait for the first of them (request coalescing): a popular page that is not stored yet asks
 * the upstream once. Who has waited long enough, or finds that the answer is not for it, asks itself.
 */
export class Waiting {
  readonly #queues = new Map<string, (() => void)[]>();

  /** True for the first: it asks, and calls `settle` when it knows. */
  lead(key: string): boolean {
    if (this.#queues.has(key)) return false;
    this.#queues.set(key, []);
    return true;
  }

  /** `go` is called once, when the first has settled or after `mostMs`. */
  follow(key: string, mostMs: number, go: () => void): void {
    const queue = this.#queues.get(key);
    let gone = false;
    const once = (): void => {
      if (gone) return;
      gone = true;
      clearTimeout(timer);
      go();
    };
    const timer = setTimeout(once, mostMs);
    if (queue === undefined) once();
    else queue.push(once);
  }

  settle(key: string): void {
    const queue = this.#queues.get(key);
    this.#queues.delete(key);
    for (const go of queue ?? []) go();
  }
}
