/**
 * A declaration made of the resources that were there before, wherever the new ones are equal to them. What was found out
 * about a resource is remembered by the object (`config/fields.ts`, `canonical.ts`, `known-specs.ts`): so a declaration of
 * ten thousand routes that is sent again with one changed costs one route. What is new has its keys in canonical order, as
 * the store gives it back: the same declaration is the same text, before a restart and after it.
 */
import { isRecord } from "./config/fields.ts";
import { KINDS, keyOf, listOf, withList, type Item } from "./config/kinds.ts";
import type { Declaration } from "./config/declaration.ts";
import { listDifference } from "#snapshot/list-patch.ts";

export function sharing(before: Declaration, after: Declaration): Declaration {
  // Whatever was sent: the check says what is wrong with it.
  if (!isRecord(after) || (after.kernel !== undefined && !isRecord(after.kernel))) return after;
  let shared = after;
  for (const kind of KINDS) {
    const old = listOf(before, kind);
    const list = listOf(after, kind);
    if (old === list || list.length === 0) continue;
    shared = withList(
      shared,
      kind,
      sharedList(old, list, (item) => keyOf(kind, item)),
    );
  }
  const { settings, kernel } = shared;
  const parts = { ...shared, ...(kernel === undefined ? {} : { kernel: sorted(kernel) }) };
  return sorted(settings === undefined ? parts : { ...parts, settings: ordered(settings) });
}

/** Keys by code unit, on this level only. */
function sorted<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))) as T;
}

function ordered<T>(value: T): T {
  if (Array.isArray(value)) return value.map(ordered) as T;
  if (!isRecord(value)) return value;
  return sorted(Object.fromEntries(Object.entries(value).map(([key, field]) => [key, ordered(field)])) as T & object);
}

function sharedList(old: readonly Item[], list: readonly Item[], key: (item: Item) => string): readonly Item[] {
  const { gone, fresh } = listDifference(old, list);
  if (fresh.length === 0) return list;
  const byKey = new Map(gone.map((item) => [key(item), item]));
  const shared = [...list];
  for (const { place, entry } of fresh) {
    if (!isRecord(entry)) continue;
    const same = byKey.get(key(entry));
    shared[place] = same !== undefined && equal(same, entry) ? same : ordered(entry);
  }
  return shared;
}

/** Of JSON values: absent and undefined fields are the same. */
export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((one, index) => equal(one, b[index]));
  }
  if (!isRecord(a) || !isRecord(b)) return false;
  for (const name of Object.keys(a)) if (!equal(a[name], b[name])) return false;
  for (const name of Object.keys(b)) if (a[name] === undefined && b[name] !== undefined) return false;
  return true;
}
