/**
 * Everybody misbehaves at random: clients and upstream cut, stall, reset, pipeline, abort and talk nonsense, while a filter
 * replies, suspends and forgets. What must hold all the same: an answer belongs to its request, in order and once; no byte
 * of one stream in another; no connection hangs; and in the end nothing is left.
 *
 * CHAOS_SEED runs one seed again. What is random follows from it; when packets and timers meet does not.
 */
import { afterEach, describe, expect, it } from "vitest";
import { Random } from "#io/fake/random.ts";
import {
  CONTINUE,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Exchange,
  type Filter,
  type Verdict,
} from "#pipeline/filter.ts";
import { ChaosClient } from "#test/support/chaos/client.ts";
import { tagged } from "#test/support/chaos/reader.ts";
import { ChaosUpstream } from "#test/support/chaos/upstream.ts";
import { startPlane } from "#test/support/data-plane.ts";

const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 0xffff_ffff));
const CLIENTS = 500;
const AT_A_TIME = 40;

const stops: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

/** Does what the field `x-filter` of the request says. */
function chaosFilter(random: Random): Filter {
  const wish = (exchange: Exchange): string => {
    const field = exchange.request.entries().find(([name]) => name.toLowerCase() === "x-filter");
    return field?.[1] ?? "pass";
  };
  const reply = (exchange: Exchange): Verdict => {
    const tag = /\/[^/]+\/([^/]+)\//.exec(exchange.request.pathText())?.[1] ?? "";
    exchange.respond(403, [["x-tag", tag]], Buffer.from(tagged(tag, 1 + random.below(9000))));
    return REPLY;
  };
  const later = (exchange: Exchange, ms: number, then: (exchange: Exchange) => Verdict): Verdict => {
    setTimeout(() => {
      if (!exchange.ended) exchange.resume(then(exchange));
    }, ms);
    return SUSPEND;
  };
  return {
    name: "chaos",
    hooks: HOOK_REQUEST_HEAD | HOOK_RESPONSE_HEAD,
    requestHead: (exchange) => {
      switch (wish(exchange)) {
        case "reply":
          return reply(exchange);
        case "soon":
          void Promise.resolve().then(() => exchange.resume(CONTINUE));
          return SUSPEND;
        case "late":
          return later(exchange, random.below(60), () => CONTINUE);
        case "late-reply":
          return later(exchange, random.below(60), reply);
        case "never":
          return SUSPEND;
        default:
          return CONTINUE;
      }
    },
    responseHead: (exchange) => {
      switch (wish(exchange)) {
        case "response-late":
          return later(exchange, random.below(60), () => CONTINUE);
        case "response-reply":
          return reply(exchange);
        default:
          return CONTINUE;
      }
    },
    end: () => {},
    dispose: () => {},
  };
}

describe.each(["io_uring", "epoll"] as const)("chaos over %s", (io) => {
  it(`keeps every stream to itself and leaves nothing behind (CHAOS_SEED=${SEED})`, async () => {
    const random = new Random(SEED);
    const failures: string[] = [];
    const failed = (why: string): number => failures.push(why);
    const upstream = new ChaosUpstream(random, failed);
    await upstream.start();
    const gateway = await startPlane({
      io,
      endpoints: [`127.0.0.1:${upstream.port}`],
      filters: [chaosFilter(random)],
      settings: { headTimeoutMs: 600, bodyIdleTimeoutMs: 600, idleTimeoutMs: 800 },
      timeouts: { requestMs: 500, idleMs: 400 },
      idleConnectionsMax: 6,
    });
    stops.push(
      () => gateway.stop(),
      () => upstream.stop(),
    );
    const clients = Array.from({ length: CLIENTS }, (_, i) => new ChaosClient(i, random, failed));
    const next = async (): Promise<void> => {
      for (let client = clients.pop(); client !== undefined; client = clients.pop()) await client.run(gateway.port);
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, next));
    expect(failures, `CHAOS_SEED=${SEED}`).toEqual([]);
    await gateway.settled();
    const endpoint = gateway.plane.engine?.upstreams[0]?.members[0]?.endpoint;
    expect(endpoint?.active).toBe(0);
    expect(endpoint?.idleCount).toBeLessThanOrEqual(6);
    // Nothing of the traffic is watched for ever either: idle connections go after their time, and who lingers.
    const { timers } = gateway.plane.loop;
    await expect.poll(() => [endpoint?.idleCount, timers.watched]).toEqual([0, 0]);
  });
});
