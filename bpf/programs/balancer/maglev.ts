/**
 * The ring that spreads flows over endpoints: Maglev hashing with weights (`core/maglev.ts`). Pure: the same endpoints with
 * the same weights give the same ring on every node, in whatever order they are given, and a change moves few slots
 * besides those it must.
 */
import { createHash } from "node:crypto";
import { maglevTable, type MaglevMember } from "#core/maglev.ts";

export interface RingMember {
  /** What is hashed: its address. Unique. */
  readonly key: string;
  /** What stands in its slots; not 0. */
  readonly id: number;
  /** Above 0; only the proportions count. */
  readonly weight: number;
}

/** `slots`, a prime, many times the number of members. Slots hold ids; all 0 when there are no members. */
export function maglevRing(members: readonly RingMember[], slots: number): Uint16Array {
  if (members.length === 0) return new Uint16Array(slots);
  // By key: the order is part of the result.
  const ordered = members.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const table = maglevTable(
    ordered.map((member) => turnsOf(member, slots)),
    slots,
  );
  return table.map((index) => (ordered[index] as RingMember).id);
}

function turnsOf({ key, weight }: RingMember, slots: number): MaglevMember {
  const digest = createHash("sha256").update(key).digest();
  const start = Number(digest.readBigUInt64BE(0) % BigInt(slots));
  const step = Number(digest.readBigUInt64BE(8) % BigInt(slots - 1)) + 1;
  return { start, step, weight };
}
