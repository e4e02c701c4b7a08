/**
 * Maglev hashing (`core/maglev.ts`): a table of a prime number of slots that the members fill in turn, each in an order of
 * its own, so that shares are equal to a slot and a key is looked up in one step. When a member goes, few other keys move.
 *
 * A member that can't be used for the moment does not change the table: its keys go to whoever owns the next slots, which
 * are others for each key.
 */
import { hashText } from "#core/hash.ts";
import { maglevTable } from "#core/maglev.ts";
import type { Member } from "#upstream/member.ts";
import { anyOpen, isOpen, SEARCH_STEPS, type Balancer, type Weighted } from "./balancer.ts";

/** Prime, and a hundred times as many as members up to 655: shares are equal to one per cent. 128 KiB a table. */
const SLOTS = 65_537;
/** For up to 40 members the same quality in a twelfth of the time. */
const SLOTS_FEW = 5_003;
const FEW = 40;
const OFFSET_SEED = 0x6d61676c;
const SKIP_SEED = 0x65762121;

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

function fill(used: readonly Weighted[], size: number): Uint16Array {
  if (used.length === 0) return new Uint16Array(0);
  const members = used.map(({ member, weight }) => ({
    start: hashText(member.address, OFFSET_SEED) % size,
    step: (hashText(member.address, SKIP_SEED) % (size - 1)) + 1,
    weight,
  }));
  return maglevTable(members, size);
}
