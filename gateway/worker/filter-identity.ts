/**
 * What a filter is, as text: equal for two that do the same at the same place, in whatever order their configuration was written
 * down. By it a filter is taken over from one snapshot to the next, and its buckets are found by other workers, and by a
 * gateway that takes this one's place.
 */
import { createHash } from "node:crypto";

export function identityOf(parts: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(parts, sorted)).digest("base64");
}

/** Fields of objects by name. */
function sorted(_key: string, value: unknown): unknown {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
