/** What is different between two declarations, by resource: what an apply would do, in the order of the declaration. */
import type { Declaration } from "./config/declaration.ts";
import { isRecord } from "./config/fields.ts";
import { pointerTo, type PointerPath } from "./config/pointer.ts";
import { KINDS, keyOf, listOf } from "./config/kinds.ts";
import { equal } from "./sharing.ts";
import { listDifference } from "#snapshot/list-patch.ts";

export interface Difference {
  readonly op: "add" | "remove" | "change";
  /** `listeners`, `kernel/maps`, `settings`. */
  readonly kind: string;
  /** `web`, `acme/orders`, `acme/token-check@1`; empty for settings. */
  readonly name: string;
  /** Of a changed resource, the values that differ, by JSON pointer into it. */
  readonly fields: readonly FieldDifference[];
}

export interface FieldDifference {
  readonly pointer: string;
  /** Undefined: was not there. */
  readonly before?: unknown;
  /** Undefined: is not there any more. */
  readonly after?: unknown;
}

export function diff(before: Declaration, after: Declaration): Difference[] {
  const differences: Difference[] = [];
  for (const kind of KINDS) {
    // Of ten thousand routes all but one are the very same: those need no names.
    const { gone, fresh } = listDifference(listOf(before, kind), listOf(after, kind));
    const old = new Map(gone.map((item) => [keyOf(kind, item), item]));
    for (const { entry: item } of fresh) {
      const name = keyOf(kind, item);
      const previous = old.get(name);
      old.delete(name);
      if (previous === undefined) differences.push({ op: "add", kind, name, fields: [] });
      else change(differences, kind, name, previous, item);
    }
    for (const name of old.keys()) differences.push({ op: "remove", kind, name, fields: [] });
  }
  change(differences, "settings", "", before.settings ?? {}, after.settings ?? {});
  return differences;
}

function change(differences: Difference[], kind: string, name: string, before: unknown, after: unknown): void {
  const fields: FieldDifference[] = [];
  compare(before, after, [], fields);
  if (fields.length > 0) differences.push({ op: "change", kind, name, fields });
}

/** Objects are compared field by field; lists as a whole, since their entries have no names. */
function compare(before: unknown, after: unknown, path: PointerPath, fields: FieldDifference[]): void {
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
      compare(before[key], after[key], [...path, key], fields);
    return;
  }
  if (equal(before, after)) return;
  const pointer = pointerTo(path);
  if (before === undefined) fields.push({ pointer, after });
  else if (after === undefined) fields.push({ pointer, before });
  else fields.push({ pointer, before, after });
}
