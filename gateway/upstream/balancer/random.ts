/** Weighted random: what needs no state, and so is the same however many workers and gateways share the endpoints. */
import type { Member } from "#upstream/member.ts";
import { isOpen, type Balancer, type Weighted } from "./balancer.ts";

export class Random implements Balancer {
  readonly #all: readonly Weighted[];
  /** Sums of the weights up to and with each member. */
  readonly #sums: Float64Array;
  readonly #random: () => number;

  constructor(all: readonly Weighted[], random: () => number) {
    this.#all = all.filter((one) => one.weight > 0);
    this.#sums = new Float64Array(this.#all.length);
    this.#random = random;
    let sum = 0;
    this.#all.forEach((one, i) => {
      sum += one.weight;
      this.#sums[i] = sum;
    });
  }

  /** As long as most can be used, one or two draws find one; then those that are left are drawn from by themselves. */
  pick(_hash: number, tried: readonly Member[]): Member | null {
    if (this.#all.length === 0) return null;
    for (let draw = 0; draw < 2; draw++) {
      const { member } = this.draw();
      if (isOpen(member, tried)) return member;
    }
    return this.#pickOfOpen(tried);
  }

  /** One by weight, whether it can be used or not. There must be one. */
  draw(): Weighted {
    const sums = this.#sums;
    const ticket = this.#random() * (sums[sums.length - 1] as number);
    let low = 0;
    let high = sums.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > ticket) high = middle;
      else low = middle + 1;
    }
    return this.#all[low] as Weighted;
  }

  #pickOfOpen(tried: readonly Member[]): Member | null {
    let sum = 0;
    for (const { member, weight } of this.#all) if (isOpen(member, tried)) sum += weight;
    let ticket = this.#random() * sum;
    for (const { member, weight } of this.#all) {
      if (!isOpen(member, tried)) continue;
      ticket -= weight;
      if (ticket < 0) return member;
    }
    return null;
  }
}
