/** Cached responses of a route, forgotten before their time. */
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { HOST } from "#control/config/builtin/parts.ts";
import { fields } from "#control/config/fields.ts";
import { requestPath, text } from "#control/config/primitives.ts";
import { parsed, route, type Answer, type Call, type RouteSpec } from "./route.ts";
import { readJson, RESOURCE_BYTES_MAX } from "./body.ts";
import type { Services } from "./services.ts";

const What = v.pipe(
  fields("what to purge", {
    /** Of requests, with a port where they name one; left out: all. */
    host: v.optional(v.pipe(text, v.regex(HOST, 'a host is written in lower case: "shop.example.com"'))),
    /** One path, with whatever query. */
    path: v.optional(requestPath),
    /** All paths that begin so. */
    prefix: v.optional(requestPath),
  }),
  v.check(
    ({ path, prefix }) => path === undefined || prefix === undefined,
    "give either `path` or `prefix`, or neither",
  ),
);
const Purged = v.object({ purged: v.number() });

export function purgeRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "POST",
      path: "/v1/tenants/{tenant}/routes/{name}/purge",
      operationId: "purgeRoute",
      summary: "Forget cached responses of a route, at all workers; what is being fetched is not kept either",
      tag: "routes",
      access: "tenant-write",
      body: { types: ["application/json"], schema: What },
      responses: { 200: { description: "How many were forgotten, of all workers", schema: Purged } },
      handle: (call) => purge(call, services),
    }),
  ];
}

async function purge({ request, params: { tenant = "", name = "" } }: Call, services: Services): Promise<Answer> {
  const { declaration } = services.changes.current().content;
  const known = declaration.routes?.find((one) => one.tenant === tenant && one.name === name);
  if (known === undefined)
    throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `tenant "${tenant}" has no route "${name}"` });
  const what = parsed(What, await readJson(request, RESOURCE_BYTES_MAX));
  return { body: { purged: await services.link.purge({ tenant, route: name, ...what }) } };
}
