/** Lists by pages: in the order of their names, so that a cursor, which is the last name, survives changes in between. */
import * as v from "valibot";
import { etagOf } from "./preconditions.ts";
import { pageLimit, type Answer, type Call, type QuerySchema } from "./route.ts";

export const PAGE_QUERY: QuerySchema = { limit: pageLimit, cursor: v.optional(v.string()) };

const PAGE_ITEMS = 100;

export function limitOf({ query }: Call): number {
  return Number(query.get("limit") ?? PAGE_ITEMS);
}

export function pageOf<T>(items: readonly T[], nameOf: (item: T) => string, call: Call): Answer {
  const cursor = call.query.get("cursor");
  const limit = limitOf(call);
  const named = items.map((item) => ({ name: nameOf(item), item })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const rest = cursor === null ? named : named.filter(({ name }) => name > cursor);
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  const body = {
    items: page.map(({ item }) => item),
    ...(rest.length > limit && last !== undefined ? { next: last.name } : {}),
  };
  return { body, etag: etagOf(body) };
}
