/**
 * Maglev hashing (D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, §3.4): a
 * table of a prime number of slots that the members fill in turn, each in an order of its own, so that shares are equal
 * to a slot and a key is looked up in one step. When a member goes, few other keys move.
 *
 * A member that can't be used for the moment does not change the table: its keys go to whoever owns the next slots, which
 * are others for each key.
 */
import { hashText } from "#upstream/hash.ts";
import type { Member } from "#upstream/member.ts";
import { anyOpen, isOpen, SEARCH_STEPS, type Balancer, type Weighted } from "./balancer.ts";

/** Prime, and a hundred times as many as members up to 655: shares are equal to one per cent. 128 KiB a table. */
const SLOTS = 65_537;
/** For up to 40 members the same quality in a twelfth of the time. */
const SLOTS_FEW = 5_003;
const FEW = 40;
const OFFSET_SEED = 0x6d61676c;
const SKIP_SEED = 0x65762121;
const FREE = 0xffff;

export class Maglev implements Balancer {
  readonly #members: readonly Member[];
  readonly #slots: Uint16Array;

  constructor(all: readonly Weighted[]) {
    const used = all.filter((one) => one.weight > 0);
    this.#members = used.map((one) => one.member);
    this.#slots = fill(used, used.length <= FEW ? SLOTS_FEW : SLOTS);
  }

  pick(hash: number, tried: readonly Member[]): Member | null {
    const slots = this.#slots;
    if (this.#members.length === 0) return null;
    let at = (hash >>> 0) % slots.length;
    for (let step = 0; step < slots.length; step++) {
      const member = this.#members[slots[at] as number] as Member;
      if (isOpen(member, tried)) return member;
      if (step === SEARCH_STEPS && !anyOpen(this.#members, tried)) return null;
      at = at + 1 === slots.length ? 0 : at + 1;
    }
    return null;
  }
}

/** Members take their next preferred free slot in turn, as often in a round as their weight is of the heaviest. */
function fill(used: readonly Weighted[], size: number): Uint16Array {
  const slots = new Uint16Array(size).fill(FREE);
  if (used.length === 0) return slots;
  const heaviest = Math.max(...used.map((one) => one.weight));
  const next = Uint32Array.from(used, ({ member }) => hashText(member.address, OFFSET_SEED) % size);
  const skip = Uint32Array.from(used, ({ member }) => (hashText(member.address, SKIP_SEED) % (size - 1)) + 1);
  const due = new Float64Array(used.length);
  for (let filled = 0; ;) {
    for (let i = 0; i < used.length; i++) {
      due[i] = (due[i] as number) + (used[i] as Weighted).weight;
      if ((due[i] as number) < heaviest) continue;
      due[i] = (due[i] as number) - heaviest;
      let at = next[i] as number;
      while (slots[at] !== FREE) at = (at + (skip[i] as number)) % size;
      slots[at] = i;
      next[i] = (at + (skip[i] as number)) % size;
      if (++filled === size) return slots;
    }
  }
}
