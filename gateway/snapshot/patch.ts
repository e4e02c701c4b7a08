/**
 * What is new in a snapshot, for who has the one before. A snapshot of ten thousand routes is megabytes; serialising it for
 * the supervisor and for each worker takes longer than everything else a small change needs.
 *
 *     before.routes   [ a b c d e f ]          keep 2 at the start, 2 at the end, replace what is between
 *     after.routes    [ a b X e f ]            { start: 2, end: 2, between: [X] }
 *
 * Entries count as the same when they are the same object; a patched snapshot shares them with the one before.
 */
import type { Snapshot } from "./snapshot.ts";

const LISTS = ["routes", "streamRoutes", "upstreams"] as const;
type ListName = (typeof LISTS)[number];

interface ListPatch {
  /** Entries kept at the start and at the end. */
  readonly start: number;
  readonly end: number;
  readonly between: readonly unknown[];
  /** Of `between`, where it is as long as what it replaces: places of entries that are new. Absent: all are. */
  readonly places?: readonly number[];
}

/** With everything of the snapshot but its long lists. */
export interface SnapshotPatch extends Omit<Snapshot, ListName> {
  /** Digest of the snapshot this is about. */
  readonly base: string;
  readonly lists: Readonly<Partial<Record<ListName, ListPatch>>>;
}

/** A snapshot whole, or what is new in it. */
export type SnapshotChange = Snapshot | SnapshotPatch;

/** Above this the whole is as good, and can be read in pieces (`packed.ts`). */
const ENTRIES_MAX = 256;

/** Null: there is too much that is new. */
export function snapshotPatch(before: Snapshot, after: Snapshot): SnapshotPatch | null {
  const { routes, streamRoutes, upstreams, ...rest } = after;
  const lists: Partial<Record<ListName, ListPatch>> = {
    routes: listPatch(before.routes, routes),
    upstreams: listPatch(before.upstreams, upstreams),
  };
  if (streamRoutes !== undefined) lists.streamRoutes = listPatch(before.streamRoutes ?? [], streamRoutes);
  const entries = Object.values(lists).reduce((sum, { between }) => sum + between.length, 0);
  return entries > ENTRIES_MAX ? null : { ...rest, base: before.digest, lists };
}

/** `before`: what the receiver has. Throws when a patch is about something else. */
export function snapshotOf(before: Snapshot | null, change: SnapshotChange): Snapshot {
  return "base" in change ? patched(before, change) : change;
}

/** Throws when `before` is not what the patch is about. */
export function patched(before: Snapshot | null, { base, lists, ...rest }: SnapshotPatch): Snapshot {
  if (before?.digest !== base) throw new Error(`the change is about snapshot ${base.slice(0, 12)}, which is not here`);
  const made: Record<string, readonly unknown[]> = {};
  for (const name of LISTS) {
    const patch = lists[name];
    if (patch !== undefined) made[name] = patchedList(before[name] ?? [], patch);
  }
  // Every list that a snapshot must have was in the one this was made of.
  return { ...rest, ...made } as unknown as Snapshot;
}

function listPatch(before: readonly unknown[], after: readonly unknown[]): ListPatch {
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start++;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const between = after.slice(start, after.length - end);
  if (before.length !== after.length) return { start, end, between };
  const places = between.keys().filter((index) => between[index] !== before[start + index]);
  const changed = [...places];
  return { start, end, between: changed.map((index) => between[index]), places: changed };
}

function patchedList(before: readonly unknown[], { start, end, between, places }: ListPatch): readonly unknown[] {
  if (places !== undefined && between.length === 0) return before;
  const after = [...before];
  if (places === undefined) after.splice(start, before.length - start - end, ...between);
  else for (const [index, place] of places.entries()) after[start + place] = between[index];
  return after;
}
