/**
 * The table of Maglev hashing (D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016,
 * §3.4), with weights. Each member has a permutation of all slots, given by where it starts and by its step, and they take
 * turns: who has a turn takes the next slot of its permutation that is free. Weights are shares of turns: a member of
 * half the greatest weight has a turn in every other round.
 */

export interface MaglevMember {
  /** Where its permutation starts, below the number of slots. */
  readonly start: number;
  /** Its step: from 1 to the number of slots less one. */
  readonly step: number;
  /** Above 0; only the proportions count. */
  readonly weight: number;
}

/** In the table while it is filled; so at most 65 535 members. */
const FREE = 0xffff;

/**
 * Whose each slot is, as indices into `members`. The order of the members is part of the result. `slots`: a prime, many
 * times the number of members. There is at least one member.
 */
export function maglevTable(members: readonly MaglevMember[], slots: number): Uint16Array {
  const table = new Uint16Array(slots).fill(FREE);
  const weightMax = members.reduce((most, { weight }) => Math.max(most, weight), 0);
  const next = Uint32Array.from(members, ({ start }) => start);
  const credit = new Float64Array(members.length);
  for (let filled = 0; ;) {
    for (let i = 0; i < members.length; i++) {
      const { step, weight } = members[i] as MaglevMember;
      credit[i] = (credit[i] as number) + weight;
      if ((credit[i] as number) < weightMax) continue;
      credit[i] = (credit[i] as number) - weightMax;
      let at = next[i] as number;
      // A permutation goes through all slots, and at least one is free.
      while (table[at] !== FREE) at = (at + step) % slots;
      table[at] = i;
      next[i] = (at + step) % slots;
      if (++filled === slots) return table;
    }
  }
}
