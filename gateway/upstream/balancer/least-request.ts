/**
 * The less busy of two drawn at random (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 1996):
 * nearly as even as asking all of them, and workers that know nothing of each other do not all run to the same one.
 * Weights count in the draw.
 */
import type { Member } from "#upstream/member.ts";
import { isOpen, type Balancer, type Weighted } from "./balancer.ts";
import { Random } from "./random.ts";

export class LeastRequest implements Balancer {
  readonly #all: readonly Weighted[];
  readonly #random: Random;

  constructor(all: readonly Weighted[], random: () => number) {
    this.#all = all.filter((one) => one.weight > 0);
    this.#random = new Random(all, random);
  }

  pick(_hash: number, tried: readonly Member[]): Member | null {
    if (this.#all.length === 0) return null;
    const first = this.#random.draw();
    const second = this.#random.draw();
    const less = loadOf(second) < loadOf(first) ? second : first;
    if (isOpen(less.member, tried)) return less.member;
    const other = less === first ? second : first;
    return isOpen(other.member, tried) ? other.member : this.#least(tried);
  }

  /** Both drawn are out: the least busy of all that are left. */
  #least(tried: readonly Member[]): Member | null {
    let best: Weighted | null = null;
    for (const one of this.#all) {
      if (isOpen(one.member, tried) && (best === null || loadOf(one) < loadOf(best))) best = one;
    }
    return best?.member ?? null;
  }
}

/** Drawing is by weight already: dividing by it once more would count it twice. */
function loadOf({ member }: Weighted): number {
  return member.endpoint.active;
}
