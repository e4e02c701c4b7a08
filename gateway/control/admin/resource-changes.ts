/** One named resource is put, patched or deleted: each a revision. */
import { refusal } from "#control/config/check.ts";
import { isRecord } from "#control/config/fields.ts";
import { indexOf, keyOf, listOf, withList, type Item } from "#control/config/kinds.ts";
import { readJson, readMergePatch, RESOURCE_BYTES_MAX } from "./body.ts";
import { find, isOwned, notFound, type Collection } from "./collections.ts";
import { changeAnswer, optionsOf, revisionHeader, stillInUse, withinBody } from "./edit.ts";
import { actorOf } from "./identity.ts";
import { mergePatch } from "./merge-patch.ts";
import { etagOf, requireMatch } from "./preconditions.ts";
import type { Answer, Call } from "./route.ts";
import type { Services } from "./services.ts";

export async function put(collection: Collection, call: Call, services: Services): Promise<Answer> {
  const item = itemOf(collection, call, await readJson(call.request, RESOURCE_BYTES_MAX));
  return write(collection, call, services, "put", () => item);
}

/** What is there, changed by a merge patch (RFC 7396). */
export async function patch(collection: Collection, call: Call, services: Services): Promise<Answer> {
  const change = await readMergePatch(call.request, RESOURCE_BYTES_MAX);
  return write(collection, call, services, "patch", (existing) => {
    if (existing === undefined) throw notFound(collection, call);
    return itemOf(collection, call, mergePatch(existing, change));
  });
}

/** `itemFrom` runs while no other change can. */
async function write(
  collection: Collection,
  call: Call,
  services: Services,
  verb: "put" | "patch",
  itemFrom: (existing: Item | undefined) => Item,
): Promise<Answer> {
  const { kind, noun } = collection;
  const key = keyOf(kind, collection.fixed(call.params));
  const options = optionsOf(call);
  let created = false;
  let place = "";
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: `${verb} ${noun} ${key}`,
      actor: actor(collection, call),
      ...options,
      edit: (declaration) => {
        const existing = find(collection, call, declaration);
        const item = itemFrom(existing);
        if (!options.dryRun) requireMatch(call.request, existing === undefined ? undefined : etagOf(existing));
        const index = indexOf(declaration, kind, key);
        created = index < 0;
        const items = [...listOf(declaration, kind)];
        place = `/${kind}/${created ? items.length : index}`;
        items.splice(created ? items.length : index, 1, item);
        return { declaration: withList(declaration, kind, items) };
      },
    });
    if (options.dryRun || result.state === "pending") return changeAnswer(result);
    // As it was kept: what is secret was taken out on the way.
    const kept = find(collection, call, result.declaration);
    return { status: created ? 201 : 200, body: kept, etag: etagOf(kept), headers: revisionHeader(result) };
  } catch (error) {
    throw withinBody(error, place);
  }
}

export async function remove(collection: Collection, call: Call, services: Services): Promise<Answer> {
  const { kind, noun } = collection;
  const key = keyOf(kind, collection.fixed(call.params));
  const options = optionsOf(call);
  try {
    const result = await services.changes.change({
      author: call.identity.name,
      who: call.identity.who,
      message: `delete ${noun} ${key}`,
      actor: actor(collection, call),
      ...options,
      edit: (declaration) => {
        const existing = find(collection, call, declaration);
        if (existing === undefined) throw notFound(collection, call);
        if (!options.dryRun) requireMatch(call.request, etagOf(existing));
        const rest = listOf(declaration, kind).filter((item) => keyOf(kind, item) !== key);
        return { declaration: withList(declaration, kind, rest) };
      },
    });
    return changeAnswer(result);
  } catch (error) {
    throw stillInUse(error);
  }
}

function actor(collection: Collection, { identity, params }: Call): string | undefined {
  return isOwned(collection) ? actorOf(identity, params["tenant"] ?? "") : undefined;
}

/** The submitted item with the fields that its path decides; they may be repeated, not contradicted. */
function itemOf(collection: Collection, call: Call, submitted: unknown): Item {
  if (!isRecord(submitted)) {
    throw refusal([{ pointer: "", code: "PENSTOCK_CONFIG_TYPE", detail: `expected a ${collection.noun} with fields` }]);
  }
  const fixed = collection.fixed(call.params);
  const wrong = Object.keys(fixed).filter(
    (field) => submitted[field] !== undefined && submitted[field] !== fixed[field],
  );
  if (wrong.length > 0) {
    const finding = (field: string) => ({
      pointer: `/${field}`,
      code: "PENSTOCK_CONFIG_VALUE",
      detail:
        fixed[field] === undefined
          ? `what is at this path has no ${field}`
          : `the path says ${field} is "${String(fixed[field])}"`,
    });
    throw refusal(wrong.map(finding));
  }
  const decided = Object.entries(fixed).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(decided), ...submitted };
}
