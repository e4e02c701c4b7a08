/**
 * Consistent hashing (D. Karger et al., 1997): every member stands on a ring of 32-bit numbers at many points, and a key
 * belongs to the first point at or behind its hash. When a member goes, its keys move to others and no other key moves.
 *
 *     0 ──●a──────●b──●a────key▸──●c──── 2³²        the key is c's; without c it is the next one's
 */
import { hashText } from "#core/hash.ts";
import type { Member } from "#upstream/member.ts";
import { anyOpen, isOpen, SEARCH_STEPS, type Balancer, type Weighted } from "./balancer.ts";

/** Points of a member of weight 1 among equals: shares differ by some ten per cent from each other. */
const POINTS = 160;
/** Of all members together: two arrays of 4 bytes each, sorted once. */
const POINTS_MAX = 1 << 17;

export class RingHash implements Balancer {
  readonly #members: readonly Member[];
  /** Hashes in order, and whose they are. */
  readonly #points: Uint32Array;
  readonly #owners: Uint32Array;

  constructor(all: readonly Weighted[]) {
    const used = all.filter((one) => one.weight > 0);
    this.#members = used.map((one) => one.member);
    const least = Math.min(...used.map((one) => one.weight));
    const sum = used.reduce((total, one) => total + one.weight, 0);
    const perWeight = Math.min(POINTS / least, POINTS_MAX / Math.max(1, sum));
    const entries: { point: number; owner: number }[] = [];
    used.forEach(({ member, weight }, owner) => {
      const count = Math.max(1, Math.round(weight * perWeight));
      for (let i = 0; i < count; i++) entries.push({ point: hashText(`${member.address}#${i}`), owner });
    });
    entries.sort((a, b) => a.point - b.point || a.owner - b.owner);
    this.#points = Uint32Array.from(entries, (one) => one.point);
    this.#owners = Uint32Array.from(entries, (one) => one.owner);
  }

  pick(hash: number, tried: readonly Member[]): Member | null {
    const owners = this.#owners;
    const count = owners.length;
    const first = this.#firstFrom(hash >>> 0);
    let passed: Member | null = null;
    for (let step = 0; step < count; step++) {
      const at = first + step;
      const member = this.#members[owners[at < count ? at : at - count] as number] as Member;
      if (step === SEARCH_STEPS && !anyOpen(this.#members, tried)) return null;
      if (member === passed) continue;
      if (isOpen(member, tried)) return member;
      passed = member;
    }
    return null;
  }

  /** Index of the first point at or behind `hash`; behind the last one comes the first. */
  #firstFrom(hash: number): number {
    const points = this.#points;
    let low = 0;
    let high = points.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((points[middle] as number) < hash) low = middle + 1;
      else high = middle;
    }
    return low === points.length ? 0 : low;
  }
}
