/**
 * Smooth weighted round robin: over any run of as many picks as the weights sum to, each endpoint is chosen as often as
 * its weight says, and never in a burst. Each pick adds every weight to its endpoint's score, takes the highest, and
 * subtracts the sum from it.
 */
import type { Endpoint } from "./endpoint.ts";

export interface Weighted {
  readonly endpoint: Endpoint;
  readonly weight: number;
}

export class RoundRobin {
  readonly #endpoints: readonly Weighted[];
  readonly #scores: Int32Array;
  readonly #sum: number;
  readonly #weighted: number;
  readonly #even: boolean;
  #next = 0;

  constructor(endpoints: readonly Weighted[]) {
    this.#endpoints = endpoints;
    this.#scores = new Int32Array(endpoints.length);
    this.#sum = endpoints.reduce((sum, one) => sum + one.weight, 0);
    this.#weighted = endpoints.filter((one) => one.weight > 0).length;
    this.#even = endpoints.every((one) => one.weight === endpoints[0]?.weight);
  }

  /** Endpoints with a weight: one without is never chosen. */
  get size(): number {
    return this.#weighted;
  }

  /** The next with a weight behind `index`, in order: where to turn when that one fails. */
  after(index: number): number {
    const count = this.#endpoints.length;
    for (let step = 1; step < count; step++) {
      const next = (index + step) % count;
      if ((this.#endpoints[next] as Weighted).weight > 0) return next;
    }
    return index;
  }

  /** Index of the next endpoint; −1 when there is none with a weight. */
  pick(): number {
    if (this.#sum === 0) return -1;
    return this.#even ? this.#pickEven() : this.#pickWeighted();
  }

  at(index: number): Endpoint {
    return (this.#endpoints[index] as Weighted).endpoint;
  }

  #pickEven(): number {
    const index = this.#next;
    this.#next = index + 1 === this.#endpoints.length ? 0 : index + 1;
    return index;
  }

  #pickWeighted(): number {
    const scores = this.#scores;
    let best = 0;
    for (let i = 0; i < scores.length; i++) {
      scores[i] = (scores[i] as number) + (this.#endpoints[i] as Weighted).weight;
      if ((scores[i] as number) > (scores[best] as number)) best = i;
    }
    scores[best] = (scores[best] as number) - this.#sum;
    return best;
  }
}
