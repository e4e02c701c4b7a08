/** The routes of a snapshot by number, and a router for each listener, made of those in force where only some routes have changed. */
import type { Engine, Routing } from "#proxy/engine.ts";
import { numberedAfter } from "#router/numbering.ts";
import { revisingRouter } from "#router/revising.ts";
import { compilingRouter, type Router } from "#router/router.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { inSlices } from "./slices.ts";

/** `before`: the engine in force. */
export async function routingOf(snapshot: Snapshot, before: Engine | null): Promise<Routing> {
  const numbered =
    before?.snapshot.listeners.length === snapshot.listeners.length
      ? numberedAfter(before.routing.routes, before.snapshot.routes, snapshot.routes)
      : null;
  const routes = numbered?.routes ?? snapshot.routes;
  const routers: Router[] = [];
  for (let listener = 0; listener < snapshot.listeners.length; listener++) {
    const known = numbered === null ? undefined : before?.routing.routers[listener];
    const revised = known === undefined ? null : await inSlices(revisingRouter(known, routes, numbered?.changed ?? []));
    routers.push(revised ?? (await inSlices(compilingRouter(routes, listener))));
  }
  return { routes, routers };
}
