/**
 * The ring that spreads flows over endpoints: Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4) with weights. Pure:
 * the same endpoints with the same weights give the same ring on every node, in whatever order they are given, and a
 * change moves few slots besides those it must.
 *
 * Each endpoint has a permutation of all slots, and they take turns: who has a turn takes the next slot of its permutation
 * that is free. Weights are shares of turns: an endpoint of half the greatest weight has a turn in every other round.
 */
import { createHash } from "node:crypto";

export interface RingMember {
  /** What is hashed: its address. Unique. */
  readonly key: string;
  /** What stands in its slots; not 0. */
  readonly id: number;
  /** Above 0; only the proportions count. */
  readonly weight: number;
}

interface Turn {
  readonly id: number;
  readonly weight: number;
  readonly skip: number;
  /** The next slot of its permutation. */
  next: number;
  credit: number;
}

/** `slots`, a prime, many times the number of members. Slots hold ids; all 0 when there are no members. */
export function maglevRing(members: readonly RingMember[], slots: number): Uint16Array {
  const ring = new Uint16Array(slots);
  if (members.length === 0) return ring;
  // By key: the order is part of the result.
  const turns = members.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map((member) => turnOf(member, slots));
  const weightMax = Math.max(...turns.map(({ weight }) => weight));
  for (let free = slots; ;) {
    for (const turn of turns) {
      turn.credit += turn.weight;
      if (turn.credit < weightMax) continue;
      turn.credit -= weightMax;
      // A permutation goes through all slots, and at least one is free.
      while (ring[turn.next] !== 0) turn.next = (turn.next + turn.skip) % slots;
      ring[turn.next] = turn.id;
      if (--free === 0) return ring;
    }
  }
}

function turnOf({ key, id, weight }: RingMember, slots: number): Turn {
  const digest = createHash("sha256").update(key).digest();
  const next = Number(digest.readBigUInt64BE(0) % BigInt(slots));
  const skip = Number(digest.readBigUInt64BE(8) % BigInt(slots - 1)) + 1;
  return { id, weight, skip, next, credit: 0 };
}
