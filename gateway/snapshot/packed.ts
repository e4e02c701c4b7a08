/**
 * A snapshot as it travels to a worker: its routes, which there may be a hundred thousand of, as JSON in pieces that can be
 * read one at a time. As objects they would arrive in one stroke, and nobody would be served for as long as that takes.
 */
import type { RouteSpec, Snapshot } from "./snapshot.ts";

/** Read within a tenth of a millisecond. */
const ROUTES_A_PIECE = 64;

export interface PackedSnapshot extends Omit<Snapshot, "routes"> {
  /** Each the JSON of an array of routes; one after the other they are the snapshot's. */
  readonly routes: readonly Uint8Array[];
}

export function packSnapshot(snapshot: Snapshot): PackedSnapshot {
  const { routes } = snapshot;
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < routes.length; at += ROUTES_A_PIECE) {
    pieces.push(Buffer.from(JSON.stringify(routes.slice(at, at + ROUTES_A_PIECE))));
  }
  return { ...snapshot, routes: pieces };
}

/** A step for each piece. */
export function* unpackSnapshot(packed: PackedSnapshot): Generator<void, Snapshot, void> {
  const routes: RouteSpec[] = [];
  for (const piece of packed.routes) {
    const { buffer, byteOffset, byteLength } = piece;
    const text = Buffer.from(buffer, byteOffset, byteLength).toString();
    routes.push(...(JSON.parse(text) as readonly RouteSpec[]));
    yield;
  }
  return { ...packed, routes };
}
