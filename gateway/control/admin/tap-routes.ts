/** Live exchanges: a sample of them, with what may be a secret taken out. */
import * as v from "valibot";
import { route, type Answer, type Call, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const Exchange = v.object({
  worker: v.number(),
  number: v.number(),
  timeMs: v.number(),
  client: v.string(),
  method: v.string(),
  host: v.string(),
  target: v.string(),
  headers: v.array(v.tuple([v.string(), v.string()])),
  route: v.string(),
  upstream: v.string(),
  status: v.number(),
  outcome: v.string(),
  requestBytes: v.number(),
  responseBytes: v.number(),
  durationMs: v.number(),
});

export function tapRoutes(services: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/tap",
      operationId: "tapExchanges",
      summary:
        "Exchanges that have ended since the last asking, redacted; the first asking begins it, and it ends when nobody asks for five seconds",
      tag: "status",
      access: "operator",
      query: {
        route: v.optional(v.pipe(v.string(), v.regex(/^[a-z0-9-]+\/[a-z0-9-]+$/, "TENANT/NAME"))),
        after: v.optional(
          v.pipe(v.string(), v.regex(/^\d{1,4}:\d{1,15}(?:,\d{1,4}:\d{1,15}){0,1023}$/, "`next` of an answer")),
        ),
      },
      responses: {
        200: { description: "Oldest first", schema: v.object({ exchanges: v.array(Exchange), next: v.string() }) },
      },
      handle: (call) => tapped(call, services),
    }),
  ];
}

/** `next` says of each worker how far it was read. */
async function tapped({ query }: Call, { link }: Services): Promise<Answer> {
  const after = new Map<number, number>();
  for (const part of (query.get("after") ?? "").split(",")) {
    const [worker, number] = part.split(":");
    if (number !== undefined) after.set(Number(worker), Number(number));
  }
  const workers = await link.tap(query.get("route") ?? "", Object.fromEntries(after));
  for (const { worker, exchanges } of workers) {
    // A worker that began anew counts from 1 again.
    after.set(worker, exchanges.at(-1)?.number ?? after.get(worker) ?? 0);
  }
  const exchanges = workers.flatMap(({ worker, exchanges: own }) => own.map((one) => ({ worker, ...one })));
  return {
    body: {
      exchanges: exchanges.toSorted((a, b) => a.timeMs - b.timeMs),
      next: Array.from(after, ([worker, number]) => `${worker}:${number}`).join(","),
    },
  };
}
