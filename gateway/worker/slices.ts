/**
 * Long work beside traffic: a generator is run for a moment at a time, and the loop has a turn in between. A snapshot of
 * 10 000 routes takes a worker a hundred milliseconds and more; nobody waits for it longer than a slice.
 */

/** About what a few dozen requests take. */
const SLICE_MS = 0.5;

export async function inSlices<T>(work: Generator<void, T, void>): Promise<T> {
  for (;;) {
    const until = performance.now() + SLICE_MS;
    do {
      const step = work.next();
      if (step.done === true) return step.value;
    } while (performance.now() < until);
    await breath();
  }
}

/** Says when a slice is over, where the steps are promises. */
export class Slice {
  #until = performance.now() + SLICE_MS;

  get isOver(): boolean {
    return performance.now() >= this.#until;
  }

  /** Resolves after a turn. */
  async next(): Promise<void> {
    await breath();
    this.#until = performance.now() + SLICE_MS;
  }
}

function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
