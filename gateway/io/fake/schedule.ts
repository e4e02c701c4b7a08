/**
 * What will happen in the fake network, by virtual time. Things of the same moment happen in an order that the seed
 * decides: completions of different sockets have no order between them, and whoever relies on one is to find out. What
 * must keep its order (the bytes of one direction) stands in a pipe; here stands only that somebody should look.
 */
import { defined } from "#core/assert.ts";
import type { Random } from "./random.ts";

interface Task {
  readonly at: number;
  readonly tie: number;
  readonly run: () => void;
}

export class Schedule {
  /** A binary heap: no task before its parent. */
  readonly #heap: Task[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  /** When the next is due; Infinity for never. */
  get nextMs(): number {
    return this.#heap[0]?.at ?? Infinity;
  }

  add(at: number, run: () => void): void {
    const heap = this.#heap;
    heap.push({ at, tie: this.#random.fraction(), run });
    let i = heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#before(i, parent)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  /** Takes out all that are due at `nowMs`, in the order they are to run. What they add comes with the next call. */
  due(nowMs: number): (() => void)[] {
    const runs: (() => void)[] = [];
    while (this.nextMs <= nowMs) runs.push(this.#first().run);
    return runs;
  }

  #first(): Task {
    const heap = this.#heap;
    const first = defined(heap[0], "first task");
    const last = defined(heap.pop(), "last task");
    if (heap.length === 0) return first;
    heap[0] = last;
    let i = 0;
    for (;;) {
      const left = 2 * i + 1;
      let least = i;
      if (left < heap.length && this.#before(left, least)) least = left;
      if (left + 1 < heap.length && this.#before(left + 1, least)) least = left + 1;
      if (least === i) return first;
      this.#swap(i, least);
      i = least;
    }
  }

  #before(i: number, j: number): boolean {
    const a = this.#heap[i] as Task;
    const b = this.#heap[j] as Task;
    return a.at < b.at || (a.at === b.at && a.tie < b.tie);
  }

  #swap(i: number, j: number): void {
    const task = this.#heap[i] as Task;
    this.#heap[i] = this.#heap[j] as Task;
    this.#heap[j] = task;
  }
}
