/** The cache through the engine: what is kept, for how long, for whom, and what it says of it. */
import http from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import type { CacheConfig } from "#snapshot/builtin-filters.ts";
import { Clock } from "#test/unit/plugins/exchange.ts";
import { get, serve, type AskOptions, type Got, type Served } from "./support.ts";

const CONFIG: CacheConfig = {
  bytesMax: 10_000_000,
  objectBytesMax: 2_000_000,
  ttlSeconds: 0,
  staleWhileRevalidateSeconds: 0,
  staleIfErrorSeconds: 0,
  setCookie: false,
  coalesceMs: 2000,
};

type Answer = (request: http.IncomingMessage, response: http.ServerResponse, count: number) => void;
type AskFor = (path: string, ask?: AskOptions) => Promise<Got>;

const says =
  (headers: http.OutgoingHttpHeaders, status = 200): Answer =>
  (_request, response, count) =>
    response.writeHead(status, headers).end(`answer ${count}`);

describe.each(["io_uring", "epoll"] as const)("cache over %s", (io) => {
  let served: Served | undefined;
  let count = 0;
  let clock = new Clock();
  let seen: http.IncomingHttpHeaders[] = [];

  async function start(answer: Answer, over: Partial<CacheConfig> = {}): Promise<AskFor> {
    count = 0;
    seen = [];
    clock = new Clock();
    clock.ms = Date.parse("2026-01-01T00:00:00Z");
    const config = { ...CONFIG, ...over };
    served = await serve(
      io,
      [{ name: "cache", config }],
      (request, response) => {
        count++;
        seen.push(request.headers);
        response.sendDate = false;
        answer(request, response, count);
      },
      clock,
    );
    const { port } = served;
    return (path, ask) => get(port, path, ask);
  }

  afterEach(async () => {
    await served?.plane.settled();
    await served?.stop();
    served = undefined;
  });

  it("keeps what is fresh, says its age, and asks again when it is not", async () => {
    const ask = await start(says({ "cache-control": "max-age=60", "x-a": "1" }));
    const first = await ask("/a?b=1");
    expect(first.headers["cache-status"]).toBe("penstock; fwd=uri-miss; fwd-status=200; stored");
    clock.ms += 59_000;
    const second = await ask("/a?b=1");
    expect([second.body.toString(), second.headers.age, second.headers["x-a"]]).toEqual(["answer 1", "59", "1"]);
    expect(second.headers["cache-status"]).toBe("penstock; hit; ttl=1");
    expect((await ask("/a?b=2")).body.toString()).toBe("answer 2");
    expect((await ask("/a?b=1", { headers: { host: "other.example" } })).body.toString()).toBe("answer 3");
    clock.ms += 2000;
    expect((await ask("/a?b=1")).headers["cache-status"]).toBe("penstock; fwd=stale; fwd-status=200; stored");
    expect(count).toBe(4);
  });

  it("keeps trailers with the body, apart from the fields, through a validation too", async () => {
    const ask = await start((request, response) => {
      const fields = { "cache-control": "max-age=60", etag: '"1"' };
      if (request.headers["if-none-match"] === '"1"') {
        response.writeHead(304, { ...fields, "x-sum": "not this" }).end();
        return;
      }
      response.writeHead(200, { ...fields, trailer: "x-sum" });
      response.write("0123456789");
      response.addTrailers({ "x-sum": "7", "x-more": "8" });
      response.end();
    });
    const came = { "x-sum": "7", "x-more": "8" };
    expect((await ask("/")).trailers).toEqual(came);
    const hit = await ask("/");
    expect([count, hit.body.toString(), hit.trailers]).toEqual([1, "0123456789", came]);
    expect([hit.headers.trailer, hit.headers["x-sum"]]).toEqual(["x-sum, x-more", undefined]);
    const part = await ask("/", { headers: { range: "bytes=0-3" } });
    expect([part.status, part.body.toString(), part.trailers, part.headers["content-length"]]).toEqual([
      206,
      "0123",
      {},
      "4",
    ]);
    expect((await ask("/", { method: "HEAD" })).headers.trailer).toBe(undefined);
    clock.ms += 61_000;
    const fresh = await ask("/");
    expect([count, fresh.headers["x-sum"], fresh.trailers]).toEqual([2, "not this", came]);
  });

  it.each<[string, http.OutgoingHttpHeaders, number]>([
    ["no-store", { "cache-control": "no-store, max-age=60" }, 2],
    ["private", { "cache-control": "private, max-age=60" }, 2],
    ["private of a field", { "cache-control": 'private="x-a", max-age=60' }, 2],
    ["no word", {}, 2],
    ["a cookie", { "cache-control": "max-age=60", "set-cookie": "a=1" }, 2],
    ["vary on all", { "cache-control": "max-age=60", vary: "*" }, 2],
    ["no-cache", { "cache-control": "no-cache, max-age=60" }, 2],
    ["max-age=0", { "cache-control": "max-age=0" }, 2],
    ["a lifetime that is none", { "cache-control": "max-age=soon" }, 2],
    ["Expires in the past", { expires: "0" }, 2],
    ["s-maxage before max-age", { "cache-control": "max-age=60, s-maxage=0" }, 2],
    ["two lifetimes", { "cache-control": "max-age=60, max-age=0" }, 2],
    ["max-age", { "cache-control": "max-age=60" }, 1],
    ["Expires", { date: "Thu, 01 Jan 2026 00:00:00 GMT", expires: "Thu, 01 Jan 2026 00:01:00 GMT" }, 1],
    ["an age that is over", { "cache-control": "max-age=60", age: "60" }, 2],
    ["an age that is not", { "cache-control": "max-age=60", age: "59" }, 1],
  ])("%s: asked %i times", async (_, headers, times) => {
    const ask = await start(says(headers));
    await ask("/");
    await ask("/");
    expect(count).toBe(times);
  });

  it.each<[string, AskOptions, number]>([
    ["no-cache", { headers: { "cache-control": "no-cache" } }, 2],
    ["pragma", { headers: { pragma: "no-cache" } }, 2],
    ["no-store", { headers: { "cache-control": "no-store" } }, 2],
    ["max-age", { headers: { "cache-control": "max-age=5" } }, 2],
    ["min-fresh", { headers: { "cache-control": "min-fresh=55" } }, 2],
    ["a credential", { headers: { authorization: "Bearer x" } }, 2],
    ["another method", { method: "POST" }, 2],
    ["nothing special", {}, 1],
    ["HEAD", { method: "HEAD" }, 1],
  ])("a request with %s: asked %i times", async (_, options, times) => {
    const ask = await start(says({ "cache-control": "max-age=60" }));
    await ask("/");
    clock.ms += 10_000;
    await ask("/", options);
    expect(count).toBe(times);
  });

  it("a credential: stored and used only where the response says that it may be shared", async () => {
    const headers = { authorization: "Bearer x" };
    const ask = await start(says({ "cache-control": "public, max-age=60" }));
    await ask("/", { headers });
    await ask("/", { headers });
    expect(count).toBe(1);
    await served?.stop();
    const own = await start(says({ "cache-control": "max-age=60" }));
    await own("/", { headers });
    await own("/");
    expect(count).toBe(2);
  });

  it("only-if-cached, max-stale", async () => {
    const ask = await start(says({ "cache-control": "max-age=60" }));
    expect((await ask("/", { headers: { "cache-control": "only-if-cached" } })).status).toBe(504);
    await ask("/");
    clock.ms += 70_000;
    expect((await ask("/", { headers: { "cache-control": "max-stale=10" } })).body.toString()).toBe("answer 1");
    expect((await ask("/", { headers: { "cache-control": "max-stale=9" } })).body.toString()).toBe("answer 2");
  });

  it("Vary: one response for each kind of request", async () => {
    const ask = await start(says({ "cache-control": "max-age=60", vary: "Accept-Language" }));
    const of = async (language: string): Promise<string> =>
      String((await ask("/", { headers: { "accept-language": language } })).body);
    expect([await of("de"), await of("en, fr"), await of("de"), await of("en ,fr")]).toEqual([
      "answer 1",
      "answer 2",
      "answer 1",
      "answer 2",
    ]);
    expect((await ask("/")).body.toString()).toBe("answer 3");
  });

  it("asks whether it still holds, and takes over what a 304 brings", async () => {
    const ask = await start((request, response, n) => {
      if (request.headers["if-none-match"] === '"1"') {
        response.writeHead(304, { etag: '"1"', "cache-control": "max-age=60", "x-n": String(n) }).end();
      } else {
        response.writeHead(200, {
          etag: '"1"',
          "cache-control": "max-age=60",
          "x-n": String(n),
          "content-type": "text/x",
        });
        response.end("body");
      }
    });
    await ask("/");
    clock.ms += 61_000;
    const again = await ask("/", { headers: { "if-none-match": '"other"' } });
    expect([again.status, again.body.toString(), again.headers["x-n"], again.headers.age]).toEqual([
      200,
      "body",
      "2",
      "0",
    ]);
    expect(again.headers["content-type"]).toBe("text/x");
    expect(again.headers["cache-status"]).toBe("penstock; hit; fwd=stale; fwd-status=304; ttl=60");
    clock.ms += 30_000;
    const own = await ask("/", { headers: { "if-none-match": '"1"' } });
    expect([own.status, own.body.length, own.headers.etag, count]).toEqual([304, 0, '"1"', 2]);
  });

  it("asks by the date of the last change where there is no tag; a 304 without a date is as old as its arrival", async () => {
    const changed = "Wed, 31 Dec 2025 00:00:00 GMT";
    const ask = await start((request, response) => {
      const headers = { "cache-control": "max-age=60", "last-modified": changed };
      if (request.headers["if-modified-since"] === undefined)
        response.writeHead(200, { ...headers, date: "Thu, 01 Jan 2026 00:00:00 GMT" }).end("body");
      else response.writeHead(304, headers).end();
    });
    await ask("/");
    clock.ms += 3_600_000;
    expect((await ask("/")).headers["cache-status"]).toBe("penstock; hit; fwd=stale; fwd-status=304; ttl=60");
    const hit = await ask("/");
    expect([hit.headers["cache-status"], hit.headers.date]).toEqual([
      "penstock; hit; ttl=60",
      "Thu, 01 Jan 2026 01:00:00 GMT",
    ]);
    expect(seen.map((headers) => headers["if-modified-since"])).toEqual([undefined, changed]);
  });

  it("a 304 that forbids it ends what was kept", async () => {
    const ask = await start((request, response) => {
      const isKept = request.headers["if-none-match"] !== undefined;
      response.writeHead(isKept ? 304 : 200, {
        etag: '"1"',
        "cache-control": isKept ? "private, max-age=60" : "max-age=0",
      });
      response.end(isKept ? undefined : "body");
    });
    await ask("/");
    expect((await ask("/")).body.toString()).toBe("body");
    await ask("/");
    expect(seen.map((headers) => headers["if-none-match"])).toEqual([undefined, '"1"', undefined]);
  });

  it.each(["must-revalidate", "proxy-revalidate", "s-maxage=10"])("%s: never an old answer", async (directive) => {
    let fail = false;
    const stale = "stale-while-revalidate=60, stale-if-error=60";
    const ask = await start((_request, response, n) => {
      if (fail) response.writeHead(503).end("down");
      else response.writeHead(200, { "cache-control": `max-age=10, ${stale}, ${directive}` }).end(`answer ${n}`);
    });
    await ask("/");
    clock.ms += 11_000;
    expect((await ask("/", { headers: { "cache-control": "max-stale" } })).body.toString()).toBe("answer 2");
    fail = true;
    clock.ms += 11_000;
    expect((await ask("/")).status).toBe(503);
  });

  it("ttlSeconds for who says nothing, setCookie for who may set one for all", async () => {
    const ask = await start(says({ "set-cookie": "a=1" }), { ttlSeconds: 60, setCookie: true });
    await ask("/");
    clock.ms += 59_000;
    const hit = await ask("/");
    expect([hit.headers["cache-status"], hit.headers["set-cookie"]]).toEqual(["penstock; hit; ttl=1", ["a=1"]]);
    clock.ms += 2000;
    expect((await ask("/")).body.toString()).toBe("answer 2");
  });

  it("an old answer instead of an error, where it may be", async () => {
    let fail = false;
    const answer: Answer = (_request, response, n) => {
      if (fail) response.writeHead(503).end("down");
      else response.writeHead(200, { "cache-control": "max-age=10, stale-if-error=60" }).end(`answer ${n}`);
    };
    const ask = await start(answer);
    await ask("/");
    fail = true;
    clock.ms += 60_000;
    const old = await ask("/");
    expect([old.status, old.body.toString()]).toEqual([200, "answer 1"]);
    expect(old.headers["cache-status"]).toBe("penstock; hit; fwd=stale; fwd-status=503; ttl=-50");
    clock.ms += 11_000;
    expect((await ask("/")).status).toBe(503);
  });

  it("an old answer when the upstream is gone", async () => {
    const ask = await start(
      (request, response) => {
        if (request.headers["x-die"] === undefined)
          response.writeHead(200, { "cache-control": "max-age=10" }).end("old");
        else request.socket.destroy();
      },
      { staleIfErrorSeconds: 100 },
    );
    await ask("/");
    clock.ms += 20_000;
    expect((await ask("/", { headers: { "x-die": "1" } })).body.toString()).toBe("old");
  });

  it("while one asks, the others get the stale one", async () => {
    let release: () => void = () => {};
    const ask = await start((_request, response, n) => {
      const answer = (): void => {
        response.writeHead(200, { "cache-control": "max-age=10, stale-while-revalidate=60" }).end(`answer ${n}`);
      };
      if (n === 1) answer();
      else release = answer;
    });
    await ask("/");
    clock.ms += 20_000;
    const first = ask("/");
    await expect.poll(() => count).toBe(2);
    expect((await ask("/")).headers["cache-status"]).toBe("penstock; hit; detail=stale; ttl=-10");
    release();
    expect((await first).body.toString()).toBe("answer 2");
    expect((await ask("/")).body.toString()).toBe("answer 2");
  });

  it("a hundred requests at once ask once; when the answer is for nobody, each asks itself", async () => {
    const slow =
      (headers: http.OutgoingHttpHeaders): Answer =>
      (_request, response, n) =>
        setTimeout(() => response.writeHead(200, headers).end(`answer ${n}`), 100);
    const ask = await start(slow({ "cache-control": "max-age=60" }));
    const all = await Promise.all(Array.from({ length: 100 }, () => ask("/")));
    expect([new Set(all.map(({ body }) => body.toString())), count]).toEqual([new Set(["answer 1"]), 1]);
    await served?.stop();
    const own = await start(slow({ "cache-control": "private" }));
    await Promise.all(Array.from({ length: 5 }, () => own("/")));
    expect(count).toBe(5);
  });

  it("what changes a resource makes its copy void", async () => {
    const ask = await start((request, response, n) => {
      const status = request.headers["x-fail"] === undefined ? 200 : 400;
      response.writeHead(status, { "cache-control": "max-age=60", "content-location": "/b" }).end(`answer ${n}`);
    });
    await ask("/a");
    await ask("/b");
    await ask("/a", { method: "PUT", headers: { "x-fail": "1" } });
    expect((await ask("/a")).body.toString()).toBe("answer 1");
    await ask("/a", { method: "PUT" });
    expect((await ask("/a")).body.toString()).toBe("answer 5");
    expect((await ask("/b")).body.toString()).toBe("answer 6");
  });

  it("a part of what is stored, and 416", async () => {
    const ask = await start(says({ "cache-control": "max-age=60", etag: '"1"' }));
    await ask("/");
    const part = await ask("/", { headers: { range: "bytes=0-5" } });
    expect([part.status, part.body.toString(), part.headers["content-range"]]).toEqual([206, "answer", "bytes 0-5/8"]);
    expect((await ask("/", { headers: { range: "bytes=8-" } })).status).toBe(416);
    expect(count).toBe(1);
  });

  it("is bounded: large responses pass, many push each other out, cut ones are not kept", async () => {
    const big = Buffer.alloc(1_900_000, "b");
    const ask = await start((request, response, n) => {
      response.writeHead(200, { "cache-control": "max-age=60" });
      if (request.url === "/cut" && n === 1) {
        response.write("half");
        setTimeout(() => response.destroy(), 20);
      } else {
        response.end(request.url === "/huge" ? Buffer.alloc(2_100_000) : request.url === "/cut" ? "whole" : big);
      }
    });
    await expect(ask("/cut")).rejects.toThrow();
    expect((await ask("/cut")).body.toString()).toBe("whole");
    await ask("/huge");
    await ask("/huge");
    expect(count).toBe(4);
    for (let i = 0; i < 8; i++) expect((await ask(`/${i}`)).body.equals(big)).toBe(true);
    const before = count;
    expect((await ask("/7")).body.equals(big)).toBe(true);
    await ask("/0");
    expect(count).toBe(before + 1);
  });
});
