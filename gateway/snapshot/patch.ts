/**
 * What is new in a snapshot, for who has the one before. A snapshot of ten thousand routes is megabytes; serialising it for
 * the supervisor and for each worker takes longer than everything else a small change needs.
 * A patched snapshot shares the entries that stay with the one before (`list-patch.ts`).
 */
import { listPatch, patchedList, patchSize, type ListPatch } from "./list-patch.ts";
import type { Snapshot } from "./snapshot.ts";

const LISTS = ["routes", "streamRoutes", "upstreams"] as const;
type ListName = (typeof LISTS)[number];

/** With everything of the snapshot but its long lists. */
export interface SnapshotPatch extends Omit<Snapshot, ListName> {
  /** Digest of the snapshot this is about. */
  readonly base: string;
  readonly lists: Readonly<Partial<Record<ListName, ListPatch>>>;
}

/** A snapshot whole, or what is new in it. */
export type SnapshotChange = Snapshot | SnapshotPatch;

/** Above this the whole is as good, and can be read in pieces (`packed.ts`). */
const SIZE_MAX = 256;

/** Null: there is too much that is new. */
export function snapshotPatch(before: Snapshot, after: Snapshot): SnapshotPatch | null {
  const { routes, streamRoutes, upstreams, ...rest } = after;
  const lists: Partial<Record<ListName, ListPatch>> = {
    routes: listPatch(before.routes, routes),
    upstreams: listPatch(before.upstreams, upstreams),
  };
  if (streamRoutes !== undefined) lists.streamRoutes = listPatch(before.streamRoutes ?? [], streamRoutes);
  const size = Object.values(lists).reduce((sum, patch) => sum + patchSize(patch), 0);
  return size > SIZE_MAX ? null : { ...rest, base: before.digest, lists };
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
