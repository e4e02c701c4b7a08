/** What is compressed for whom; the bodies themselves in test/integration/plugins. */
import { describe, expect, it } from "vitest";
import { defined } from "#core/assert.ts";
import type { BodyLink, BodyStage } from "#pipeline/body.ts";
import { CONTINUE, REPLY, type Filter } from "#pipeline/filter.ts";
import { preferred } from "#plugins/coding/codings.ts";
import type { CompressConfig } from "#snapshot/builtin-filters.ts";
import type { TestExchange } from "#test/support/wasm.ts";
import { made, requestOf, through } from "./exchange.ts";

const CONFIG: CompressConfig = {
  codings: ["zstd", "br", "gzip"],
  contentTypes: ["text/*", "application/json", "*+json"],
  bytesMin: 100,
  levels: {},
};

function answered(filter: Filter, request: TestExchange, ...fields: string[]): TestExchange {
  const length = fields.some((field) => /^(content-length|transfer-encoding)/.test(field))
    ? []
    : ["content-length: 500"];
  request.respondWith(["HTTP/1.1 200 OK", ...length, ...fields, "", ""].join("\r\n"));
  expect(filter.responseHead(request, 0)).toBe(CONTINUE);
  for (const stage of request.responseStages) stage.dispose();
  return request;
}

describe("the coding that a client wants most", () => {
  it.each<[string | undefined, string | null]>([
    [undefined, null],
    ["", null],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["gzip, br;q=0.5", "gzip"],
    ["GZIP;Q=1.0", "gzip"],
    ["*", "zstd"],
    ["*;q=0.1, zstd;q=0", "br"],
    ["gzip;q=0", null],
    ["gzip;q=0.5, identity", null],
    ["gzip;q=0.5, identity;q=0.4", "gzip"],
    ["gzip;q=2", "gzip"],
    ["deflate", null],
    [`${"x,".repeat(40)}gzip`, null],
  ])("%j: %s", (accept, coding) => {
    expect(preferred(accept, CONFIG.codings)).toBe(coding);
  });
});

describe("compress", () => {
  const filter = made("compress", CONFIG);
  it.each<[string, string[], string | undefined]>([
    ["text", ["content-type: text/html; charset=utf-8"], "gzip"],
    ["a suffix", ["content-type: application/problem+json"], "gzip"],
    ["an image", ["content-type: image/png"], undefined],
    ["no type", [], undefined],
    ["too short", ["content-type: text/html", "content-length: 99"], undefined],
    ["just long enough", ["content-type: text/html", "content-length: 100"], "gzip"],
    ["of unknown length", ["content-type: text/html", "transfer-encoding: chunked"], "gzip"],
    ["compressed already", ["content-type: text/html", "content-encoding: br"], "br"],
    ["forbidden", ["content-type: text/html", "cache-control: public, no-transform"], undefined],
  ])("%s", (_, fields, coding) => {
    const exchange = answered(filter, requestOf("GET /", "accept-encoding: gzip"), ...fields);
    expect(exchange.response.get("content-encoding")).toBe(coding);
    expect(exchange.responseStages.length).toBe(coding === "gzip" ? 1 : 0);
  });

  it("says that the response varies, also where it does not", () => {
    const vary = (request: TestExchange, ...fields: string[]): string | undefined =>
      answered(filter, request, "content-type: text/html", ...fields).response.get("vary");
    expect(vary(requestOf("GET /"))).toBe("accept-encoding");
    expect(vary(requestOf("GET /"), "vary: origin")).toBe("origin, accept-encoding");
    expect(vary(requestOf("GET /"), "vary: Accept-Encoding, origin")).toBe("Accept-Encoding, origin");
    expect(vary(requestOf("GET /"), "vary: *")).toBe("*");
  });

  it("weakens the validator, and takes ranges back", () => {
    const fields = ["content-type: text/html", 'etag: "a"', "accept-ranges: bytes"];
    const { response } = answered(filter, requestOf("GET /", "accept-encoding: br"), ...fields);
    expect([response.get("etag"), response.get("accept-ranges")]).toEqual(['W/"a"', undefined]);
    const plain = answered(filter, requestOf("GET /"), ...fields).response;
    expect([plain.get("etag"), plain.get("accept-ranges")]).toEqual(['"a"', "bytes"]);
  });

  it("leaves HEAD, 304 and parts alone", () => {
    const head = answered(filter, requestOf("HEAD /", "accept-encoding: gzip"), "content-type: text/html");
    expect(head.response.get("content-encoding")).toBe(undefined);
    for (const status of ["304 Not Modified", "206 Partial Content"]) {
      const exchange = requestOf("GET /", "accept-encoding: gzip");
      exchange.respondWith(`HTTP/1.1 ${status}\r\ncontent-type: text/html\r\ncontent-length: 500\r\n\r\n`);
      filter.responseHead(exchange, 0);
      expect([exchange.response.get("vary"), exchange.responseStages.length]).toEqual([undefined, 0]);
    }
  });
});

describe("compress, of a worker", () => {
  it("goes on as it is beyond 128 at a time, and compresses again when one is over", async () => {
    const filter = made("compress", CONFIG);
    // Streams that were disposed of, those of other tests too, are gone a moment later.
    const closed = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    await closed();
    const answer = (): TestExchange => {
      const exchange = requestOf("GET /", "accept-encoding: gzip");
      exchange.respondWith("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 500\r\n\r\n");
      expect(filter.responseHead(exchange, 0)).toBe(CONTINUE);
      return exchange;
    };
    const busy = Array.from({ length: 128 }, answer);
    const stages = busy.flatMap((exchange) => exchange.responseStages);
    const beyond = answer().response;
    expect([stages.length, beyond.get("content-encoding"), beyond.get("vary")]).toEqual([
      128,
      undefined,
      "accept-encoding",
    ]);
    stages.pop()?.dispose();
    await closed();
    const next = answer();
    expect(next.response.get("content-encoding")).toBe("gzip");
    for (const stage of [...stages, ...next.responseStages]) stage.dispose();
  });
});

describe("decompress", () => {
  const filter = made("decompress", { request: true, response: "unless-accepted", bytesMax: 1000 });
  it("takes the coding off a request, and refuses one that it can't", () => {
    const exchange = requestOf("POST /", "content-encoding: gzip", "content-length: 10");
    expect(through(filter, exchange)).toBe(CONTINUE);
    expect([exchange.request.get("content-encoding"), exchange.requestStages.length]).toEqual([undefined, 1]);
    for (const stage of exchange.requestStages) stage.dispose();
    for (const coding of ["compress", "gzip, br"]) {
      const other = requestOf("POST /", `content-encoding: ${coding}`, "content-length: 10");
      expect([through(filter, other), other.reply?.status]).toEqual([REPLY, 415]);
    }
    const none = requestOf("GET /", "content-encoding: gzip");
    expect([through(filter, none), none.requestStages.length]).toEqual([CONTINUE, 0]);
  });

  it("takes it off a response for who does not want it", () => {
    const fields = ["content-type: text/html", "content-encoding: br"];
    const plain = answered(filter, requestOf("GET /"), ...fields);
    expect([plain.response.get("content-encoding"), plain.responseStages.length]).toEqual([undefined, 1]);
    const wanted = answered(filter, requestOf("GET /", "accept-encoding: br"), ...fields);
    expect([wanted.response.get("content-encoding"), wanted.responseStages.length]).toEqual(["br", 0]);
    expect(wanted.response.get("vary")).toBe("accept-encoding");
  });
});

describe("buffer", () => {
  it("asks for the body, or refuses it by its length", () => {
    const filter = made("buffer", { bytesMax: 10 });
    expect(through(filter, requestOf("GET /"))).toBe(CONTINUE);
    expect(through(filter, requestOf("POST /", "content-length: 0"))).toBe(CONTINUE);
    const held = requestOf("POST /", "content-length: 10");
    expect([through(filter, held), held.requestStages.length]).toEqual([2, 1]);
    const long = requestOf("POST /", "content-length: 11");
    expect([through(filter, long), long.reply?.status]).toEqual([REPLY, 413]);
  });

  it("holds 128 MiB of a worker's bodies, and refuses what is beyond until some have gone", () => {
    const MIB = 1 << 20;
    const filter = made("buffer", { bytesMax: 100 * MIB });
    const failed: number[] = [];
    const link: BodyLink = {
      memory: new Uint8Array(0),
      full: true,
      trailers: null,
      makeTrailers: () => null,
      data: () => {},
      write: () => {},
      end: () => {},
      pause: () => {},
      resume: () => {},
      retain: () => {},
      release: () => {},
      fail: (status) => void failed.push(status),
    };
    const holding = (): BodyStage => {
      const exchange = requestOf("POST /", "transfer-encoding: chunked");
      through(filter, exchange);
      const stage = defined(exchange.requestStages[0], "stage");
      stage.attach(link);
      return stage;
    };
    const [first, second] = [holding(), holding()];
    first.data(0, 0, 64 * MIB);
    second.data(0, 0, 64 * MIB);
    expect(failed).toEqual([]);
    second.data(0, 0, 1);
    expect(failed).toEqual([503]);
    for (const stage of [first, second]) stage.dispose();
    const third = holding();
    third.data(0, 0, 100 * MIB);
    third.dispose();
    expect(failed).toEqual([503]);
  });
});
