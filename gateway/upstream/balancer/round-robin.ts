/**
 * Smooth weighted round robin: over any run of as many picks as the weights sum to, each endpoint is chosen as often as
 * its weight says, and never in a burst. Each pick adds every weight to its endpoint's score, takes the highest, and
 * subtracts the sum from it. Those that can't be used take no part.
 */
import type { Member } from "#upstream/member.ts";
import { isOpen, type Balancer, type Weighted } from "./balancer.ts";

export class RoundRobin implements Balancer {
  readonly #all: readonly Weighted[];
  readonly #scores: Int32Array;
  readonly #even: boolean;
  #next = 0;

  constructor(all: readonly Weighted[]) {
    this.#all = all.filter((one) => one.weight > 0);
    this.#scores = new Int32Array(this.#all.length);
    this.#even = this.#all.every((one) => one.weight === this.#all[0]?.weight);
  }

  pick(_hash: number, tried: readonly Member[]): Member | null {
    return this.#even ? this.#pickEven(tried) : this.#pickWeighted(tried);
  }

  #pickEven(tried: readonly Member[]): Member | null {
    const all = this.#all;
    for (let step = 0; step < all.length; step++) {
      const { member } = all[this.#next] as Weighted;
      this.#next = this.#next + 1 === all.length ? 0 : this.#next + 1;
      if (isOpen(member, tried)) return member;
    }
    return null;
  }

  #pickWeighted(tried: readonly Member[]): Member | null {
    const all = this.#all;
    const scores = this.#scores;
    let best = -1;
    let sum = 0;
    for (let i = 0; i < scores.length; i++) {
      const { member, weight } = all[i] as Weighted;
      if (!isOpen(member, tried)) continue;
      sum += weight;
      scores[i] = (scores[i] as number) + weight;
      if (best < 0 || (scores[i] as number) > (scores[best] as number)) best = i;
    }
    if (best < 0) return null;
    scores[best] = (scores[best] as number) - sum;
    return (all[best] as Weighted).member;
  }
}
