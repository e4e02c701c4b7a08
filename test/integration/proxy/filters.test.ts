/** Filters in the engine: replies, edits, suspension, order of the hooks, and clients that go while a filter thinks. */
import { describe, expect, it } from "vitest";
import {
  CONTINUE,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Exchange,
  type Filter,
  type Verdict,
} from "#pipeline/filter.ts";
import { internName } from "#http/names.ts";
import { sleep } from "#test/support/data-plane.ts";
import { RawClient } from "#test/support/raw-client.ts";
import { closedAfterEach } from "#test/support/plane-tests.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const BODY = Buffer.from("no");

interface Hooks {
  request?: (exchange: Exchange) => Verdict;
  response?: (exchange: Exchange) => Verdict;
}

/** What the hooks of a chain were called with, in order. */
let calls: string[] = [];

function filter(name: string, hooks: Hooks): Filter {
  return {
    name,
    hooks:
      (hooks.request === undefined ? 0 : HOOK_REQUEST_HEAD) |
      (hooks.response === undefined ? 0 : HOOK_RESPONSE_HEAD) |
      HOOK_END,
    requestHead: (exchange) => {
      calls.push(`${name}>`);
      return hooks.request?.(exchange) ?? CONTINUE;
    },
    responseHead: (exchange) => {
      calls.push(`<${name}:${exchange.response.status}`);
      return hooks.response?.(exchange) ?? CONTINUE;
    },
    end: () => calls.push(`${name}.`),
    dispose: () => {},
  };
}

const pass: Hooks = { request: () => CONTINUE, response: () => CONTINUE };

function reply(status: number): (exchange: Exchange) => Verdict {
  return (exchange) => {
    exchange.respond(status, [["x-by", "filter"]], BODY);
    return REPLY;
  };
}

/** Suspends, and goes on with `then` when the promise that `wait` makes has settled. */
function later(then: (exchange: Exchange) => Verdict, wait: () => Promise<unknown>): (exchange: Exchange) => Verdict {
  return (exchange) => {
    void wait().then(() => exchange.resume(then(exchange)));
    return SUSPEND;
  };
}

const soon = (): Promise<unknown> => Promise.resolve();
const aWhile = (): Promise<unknown> => sleep(30);
const go = (): Verdict => CONTINUE;

const { upstream, plane } = closedAfterEach();

interface Case {
  readonly what: string;
  readonly chain: () => Filter[];
  readonly status: number;
  readonly calls: readonly string[];
}

const UP = "<b:200 <a:200".split(" ");

const CASES: readonly Case[] = [
  {
    what: "hooks run there from first to last, and back from last to first",
    chain: () => [filter("a", pass), filter("b", pass)],
    status: 200,
    calls: ["a>", "b>", ...UP, "a.", "b."],
  },
  {
    what: "a reply passes the filters before it, and not its own",
    chain: () => [filter("a", pass), filter("b", { ...pass, request: reply(403) }), filter("c", pass)],
    status: 403,
    calls: ["a>", "b>", "<a:403", "a.", "b.", "c."],
  },
  ...[soon, aWhile].map((wait) => ({
    what: `a suspended request goes on where it was (${wait.name})`,
    chain: () => [
      filter("a", { ...pass, request: later(go, wait) }),
      filter("b", { ...pass, request: later(go, wait) }),
    ],
    status: 200,
    calls: ["a>", "b>", ...UP, "a.", "b."],
  })),
  ...[soon, aWhile].map((wait) => ({
    what: `a suspended request is answered (${wait.name})`,
    chain: () => [filter("a", pass), filter("b", { ...pass, request: later(reply(401), wait) })],
    status: 401,
    calls: ["a>", "b>", "<a:401", "a.", "b."],
  })),
  ...[soon, aWhile].map((wait) => ({
    what: `a suspended response goes on where it was (${wait.name})`,
    chain: () => [
      filter("a", { ...pass, response: later(go, wait) }),
      filter("b", { ...pass, response: later(go, wait) }),
    ],
    status: 200,
    calls: ["a>", "b>", ...UP, "a.", "b."],
  })),
  {
    what: "a response is replaced, and the filters before see the new one",
    chain: () => [filter("a", pass), filter("b", { ...pass, response: reply(502) })],
    status: 502,
    calls: ["a>", "b>", "<b:200", "<a:502", "a.", "b."],
  },
  {
    what: "a suspended response is replaced",
    chain: () => [filter("a", pass), filter("b", { ...pass, response: later(reply(503), aWhile) })],
    status: 503,
    calls: ["a>", "b>", "<b:200", "<a:503", "a.", "b."],
  },
  {
    what: "a local reply can be replaced in its turn",
    chain: () => [filter("a", { ...pass, response: reply(418) }), filter("b", { ...pass, request: reply(403) })],
    status: 418,
    calls: ["a>", "b>", "<a:403", "a.", "b."],
  },
  {
    what: "a local reply can be suspended",
    chain: () => [filter("a", { ...pass, response: later(go, aWhile) }), filter("b", { ...pass, request: reply(403) })],
    status: 403,
    calls: ["a>", "b>", "<a:403", "a.", "b."],
  },
];

describe.each(["io_uring", "epoll"] as const)("filters over %s", (io) => {
  describe.each([
    ["without a body", GET],
    ["with a body", POST],
  ])("%s", (_, request) => {
    it.each(CASES)("$what", async (one) => {
      const up = await upstream((socket, all) => {
        const last = all.split(/(?=GET|POST)/).at(-1) ?? "";
        if (last.startsWith("GET") ? last.endsWith("\r\n\r\n") : last.endsWith("hello")) socket.write(OK);
      });
      const gateway = await plane(io, { endpoints: [up.address], filters: one.chain() });
      const client = new RawClient(gateway.port);
      // The second time over an upstream connection that is idle, and both sides kept alive.
      for (let i = 1; i <= 2; i++) {
        calls = [];
        client.send(request);
        await client.until(({ received }) => received.split("HTTP/1.1 ").length === i + 1 && /(ok|no)$/.test(received));
        expect(client.received.split("HTTP/1.1 ").at(-1)).toMatch(new RegExp(`^${one.status} `));
        expect(calls).toEqual(one.calls);
      }
      client.end();
      await client.untilEnd();
      await gateway.settled();
    });
  });

  it("keeps the edits of both heads through suspension, and the body behind a suspended response", async () => {
    const up = await upstream((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nx-old: 1\r\ncontent-length: 200000\r\n\r\n${"d".repeat(200_000)}`);
    });
    const value = Buffer.from("edited");
    const set = (head: Exchange["request"]): boolean => {
      const at = head.reserve(value.length);
      head.memory.set(value, at);
      return head.set(internName("x-old"), head.memory, at, at + value.length);
    };
    const edits = filter("a", {
      request: later((exchange) => (set(exchange.request) ? CONTINUE : REPLY), aWhile),
      response: later((exchange) => (set(exchange.response) ? CONTINUE : REPLY), aWhile),
    });
    const gateway = await plane(io, { endpoints: [up.address], filters: [edits] });
    const client = new RawClient(gateway.port).send("GET / HTTP/1.1\r\nHost: a\r\nX-Old: 0\r\n\r\n");
    await client.until(({ received }) => received.endsWith("d".repeat(200_000)));
    expect(up.received[0]).toMatch(/x-old: edited\r\n/i);
    expect(client.received).toMatch(/x-old: edited\r\n/i);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });

  it.each(["request", "response"] as const)(
    "a %s suspended when its client goes is over, and a late answer meets nobody else's",
    async (phase) => {
      const up = await upstream((socket) => socket.write(OK));
      const waiting: Exchange[] = [];
      const think = (exchange: Exchange): Verdict => {
        waiting.push(exchange);
        return SUSPEND;
      };
      const thinking = filter("a", phase === "request" ? { request: think } : { response: think });
      const gateway = await plane(io, { endpoints: [up.address], filters: [thinking] });
      const gone = new RawClient(gateway.port).send(GET);
      while (waiting.length < 1) await sleep(5);
      gone.socket.resetAndDestroy();
      await gateway.settled();
      const first = waiting[0] as Exchange;
      expect(first.ended).toBe(true);
      // Another request, suspended too: the first one's late verdict must not move it.
      const other = new RawClient(gateway.port).send(GET);
      while (waiting.length < 2) await sleep(5);
      first.resume(CONTINUE);
      await sleep(50);
      expect(other.received).toBe("");
      (waiting[1] as Exchange).resume(CONTINUE);
      await other.until(({ received }) => received === OK);
      other.end();
      await other.untilEnd();
      await gateway.settled();
    },
  );

  it.each(["request", "response"] as const)("answers 504 when a filter never decides about a %s", async (phase) => {
    const up = await upstream((socket) => socket.write(OK));
    const never = (): Verdict => SUSPEND;
    const thinking = filter("a", phase === "request" ? { request: never } : { response: never });
    const gateway = await plane(io, { endpoints: [up.address], filters: [thinking], settings: { idleTimeoutMs: 500 } });
    const started = performance.now();
    const client = new RawClient(gateway.port).send(GET).end();
    const all = await client.untilEnd();
    expect(all).toMatch(/^HTTP\/1\.1 504 [^]*"filter-timeout"/);
    // Not before: a busy machine makes it later only.
    expect(performance.now() - started).toBeGreaterThan(450);
    await gateway.settled();
  });

  it("answers 502 where an upstream switches protocols unasked", async () => {
    const up = await upstream((socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    );
    const gateway = await plane(io, { endpoints: [up.address], filters: [filter("a", pass)] });
    const client = new RawClient(gateway.port).send(GET);
    await client.until(({ received }) => received.includes("upstream-invalid"));
    expect(client.received).toMatch(/^HTTP\/1\.1 502 /);
    client.end();
    await client.untilEnd();
    await gateway.settled();
  });
});
