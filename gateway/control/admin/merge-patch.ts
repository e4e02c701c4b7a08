/** JSON Merge Patch (RFC 7396): what is named is replaced, what is null is removed, what is left out stays. */
import * as v from "valibot";
import { isRecord } from "#control/config/fields.ts";

export const MERGE_PATCH = "application/merge-patch+json";
export const MERGE_PATCH_BODY = { types: [MERGE_PATCH], schema: v.looseObject({}) };

/** Section 2 of the RFC. Neither argument is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch;
  // Pairs, not assignments: a key named __proto__ stays a key, for the check to refuse.
  const result = new Map<string, unknown>(isRecord(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) result.delete(name);
    else result.set(name, mergePatch(result.get(name), value));
  }
  return Object.fromEntries(result);
}
