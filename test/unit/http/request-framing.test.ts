/** Request heads: framing, what belongs to the connection, expectations, limits, and whatever the cut. */
import { describe, expect, it } from "vitest";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS, type HeadLimits } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { ALL_REGIONS, TestMemory } from "#test/support/http-memory.ts";
import { head, parse, request, store } from "#test/support/parsed-request.ts";

describe("framing", () => {
  it.each([
    [[], FRAMING_NONE, 0],
    [["Content-Length: 0"], FRAMING_LENGTH, 0],
    [["Content-Length: 5"], FRAMING_LENGTH, 5],
    [["content-length:0005 "], FRAMING_LENGTH, 5],
    [["Content-Length: 9007199254740991"], FRAMING_LENGTH, 9007199254740991],
    [["Transfer-Encoding: chunked"], FRAMING_CHUNKED, 0],
    [["TRANSFER-ENCODING:CHUNKED"], FRAMING_CHUNKED, 0],
  ])("%j", (fields, framing, length) => {
    expect(parse(request("POST / HTTP/1.1", ...fields))).toBe("");
    expect(head.framing).toBe(framing);
    expect(head.contentLength).toBe(length);
  });

  it.each([
    [["Content-Length: "], "content-length"],
    [["Content-Length: +5"], "content-length"],
    [["Content-Length: -1"], "content-length"],
    [["Content-Length: 0x5"], "content-length"],
    [["Content-Length: 5 5"], "content-length"],
    [["Content-Length: 5, 5"], "content-length"],
    [["Content-Length: 5;"], "content-length"],
    [["Content-Length: 9007199254740992"], "content-length"],
    [["Content-Length: 00000000000000005"], "content-length"],
    [["Content-Length: 5", "Content-Length: 5"], "content-length-repeated"],
    [["Content-Length: 5", "Content-Length: 6"], "content-length-repeated"],
    [["Content-Length: 5", "Transfer-Encoding: chunked"], "two-framings"],
    [["Transfer-Encoding: chunked", "Content-Length: 0"], "two-framings"],
    [["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], "transfer-encoding"],
    [["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"], "transfer-encoding"],
    [["Transfer-Encoding: "], "transfer-encoding"],
    [["Transfer-Encoding: chunked, chunked"], "transfer-encoding"],
    [["Transfer-Encoding: chunked, gzip"], "transfer-encoding"],
    [["Transfer-Encoding: ,chunked"], "transfer-encoding"],
    [["Transfer-Encoding: chunked,"], "transfer-encoding"],
    [['Transfer-Encoding: "chunked"'], "transfer-encoding"],
    [["Transfer-Encoding: chunked;x=y"], "transfer-encoding"],
    [["Transfer-Encoding: \x0bchunked"], "control-byte"],
    [["Content_Length: 5"], "framing-alias"],
    [["transfer_Encoding: chunked", "Content-Length: 5"], "framing-alias"],
    [["Transfer-Encoding: xchunked"], "transfer-coding"],
    [["Transfer-Encoding: identity"], "transfer-coding"],
    [["Transfer-Encoding: gzip , chunked"], "transfer-coding"],
    [["Transfer-Encoding: chunked\x80"], "transfer-encoding"],
  ])("refuses %j: %s", (fields, code) => {
    expect(parse(request("POST / HTTP/1.1", ...fields))).toBe(code);
  });

  it("refuses a coding on HTTP/1.0, and content where the method has none", () => {
    expect(parse(request("POST / HTTP/1.0", "Transfer-Encoding: chunked"))).toBe("transfer-encoding-version");
    expect(parse(request("TRACE / HTTP/1.1", "Content-Length: 1"))).toBe("content");
    expect(parse(request("CONNECT a:1 HTTP/1.1", "Transfer-Encoding: chunked"))).toBe("content");
    expect(parse(request("CONNECT a:1 HTTP/1.1", "Content-Length: 1"))).toBe("content");
    expect(parse(request("TRACE / HTTP/1.1", "Content-Length: 0"))).toBe("content");
    expect(parse(request("CONNECT a:1 HTTP/1.1", "Content-Length: 0"))).toBe("");
    expect(head.framing).toBe(FRAMING_NONE);
    expect(parse(request("CONNECT a:1 HTTP/1.1", "Connection: upgrade", "Upgrade: x", "Expect: 100-continue"))).toBe(
      "",
    );
    expect([head.upgrade, head.expectContinue]).toEqual([false, false]);
    expect(parse(request("GET / HTTP/1.1", "Content-Length: 1"))).toBe("");
  });
});

describe("connection", () => {
  it.each([
    ["HTTP/1.1", [], true, false],
    ["HTTP/1.1", ["Connection: close"], false, false],
    ["HTTP/1.1", ["Connection: Keep-Alive"], true, false],
    ["HTTP/1.1", ["Connection: keep-alive, close"], false, false],
    ["HTTP/1.1", ["Connection: keep-alive", "Connection: CLOSE"], false, false],
    ["HTTP/1.1", ["Connection: , ,close,"], false, false],
    ["HTTP/1.1", ["Connection: keep_alive"], true, false],
    ["HTTP/1.0", [], false, false],
    ["HTTP/1.0", ["Connection: keep-alive"], true, false],
    ["HTTP/1.0", ["Connection: keep-alive, close"], false, false],
    ["HTTP/1.1", ["Connection: Upgrade", "Upgrade: websocket"], true, true],
    ["HTTP/1.1", ["Connection: keep-alive, upgrade", "Upgrade: websocket"], true, true],
    ["HTTP/1.1", ["Upgrade: websocket"], true, false],
    ["HTTP/1.1", ["Connection: upgrade"], true, false],
    ["HTTP/1.1", ["Connection: upgrade", "Upgrade: "], true, false],
    ["HTTP/1.0", ["Connection: upgrade, keep-alive", "Upgrade: websocket"], true, false],
  ])("%s %j: keep-alive %s, upgrade %s", (version, fields, keepAlive, upgrade) => {
    expect(parse(request(`GET / ${version}`, ...fields))).toBe("");
    expect(head.keepAlive).toBe(keepAlive);
    expect(head.upgrade).toBe(upgrade);
  });

  it.each([
    "Host",
    "content-length",
    "transfer-encoding",
    "Cookie",
    "authorization",
    "x-forwarded-for",
    "a b",
    '"close"',
    "close;x",
    Array.from({ length: 33 }, (_, i) => `x${String(i)}`).join(","),
  ])("refuses %s", (value) => {
    expect(parse(request("GET / HTTP/1.1", `Connection: ${value}`))).toBe("connection");
  });
});

describe("expectations", () => {
  it.each([
    ["HTTP/1.1", ["Expect: 100-continue", "Content-Length: 1"], "", true],
    ["HTTP/1.1", ["Expect: 100-CONTINUE", "Transfer-Encoding: chunked"], "", true],
    ["HTTP/1.1", ["Expect: 100-continue"], "", false],
    ["HTTP/1.0", ["Expect: 100-continue", "Content-Length: 1"], "", false],
    ["HTTP/1.0", ["Expect: more"], "", false],
    ["HTTP/1.1", ["Expect: more"], "expectation", false],
    ["HTTP/1.1", ["Expect: 100-continue, more"], "expectation", false],
    ["HTTP/1.1", ["Expect: 100-continue", "Expect: more"], "expectation", false],
    ["HTTP/1.1", ["Expect: "], "expectation", false],
  ])("%s %j: %s", (version, fields, code, expected) => {
    expect(parse(request(`PUT / ${version}`, ...fields))).toBe(code);
    if (code === "") expect(head.expectContinue).toBe(expected);
  });
});

describe("limits, both sides", () => {
  const limits: HeadLimits = { headBytesMax: 400, targetBytesMax: 100, fieldsMax: 8 };

  it("target", () => {
    expect(parse(request(`GET /${"t".repeat(99)} HTTP/1.1`), limits)).toBe("");
    expect(parse(request(`GET /${"t".repeat(100)} HTTP/1.1`), limits)).toBe("target-length");
    expect(parse(request(`GET http://b/${"t".repeat(92)} HTTP/1.1`), limits)).toBe("target-length");
    expect(parse(`GET /${"t".repeat(99)}`, limits)).toBe("incomplete");
    expect(parse(`GET /${"t".repeat(100)}`, limits)).toBe("target-length");
  });

  it("head", () => {
    const bare = request("GET / HTTP/1.1", "X: ").length;
    expect(parse(request("GET / HTTP/1.1", `X: ${"v".repeat(400 - bare)}`), limits)).toBe("");
    expect(head.end - head.start).toBe(400);
    expect(parse(request("GET / HTTP/1.1", `X: ${"v".repeat(401 - bare)}`), limits)).toBe("head-length");
    expect(parse(request("GET / HTTP/1.1", `X: ${"v".repeat(500)}`).slice(0, 399), limits)).toBe("incomplete");
    expect(parse(request("GET / HTTP/1.1", `X: ${"v".repeat(500)}`).slice(0, 400), limits)).toBe("head-length");
  });

  it("fields", () => {
    expect(parse(request("GET / HTTP/1.1", ...Array.from({ length: 7 }, () => "X: 1")), limits)).toBe("");
    expect(head.fieldCount).toBe(8);
    expect(parse(request("GET / HTTP/1.1", ...Array.from({ length: 8 }, () => "X: 1")), limits)).toBe("fields");
  });

  it("scratch", () => {
    const dry = new TestMemory();
    const dryHead = new Head(dry);
    dry.exhaust();
    for (const line of ["GET /a/../b HTTP/1.1", "GET http://B/ HTTP/1.1", "GET http://b HTTP/1.1"]) {
      const { start, end } = dry.put(request(line));
      expect(refusalOf(parseRequestHead(dryHead, start, end, DEFAULT_HEAD_LIMITS)).code).toBe("no-buffer");
    }
    const { start, end } = dry.put(request("GET /plain HTTP/1.1"));
    expect(parseRequestHead(dryHead, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
  });
});

it("every beginning of a request is incomplete, whatever stands behind it in memory", () => {
  const messages = [
    request("GET /a/%7e/../b?c HTTP/1.1", "Content-Length: 5", "X-Long: " + "v".repeat(50)),
    "\r\n" + request("POST http://User.example:81/x HTTP/1.1", "Connection: close, x-y", "Transfer-Encoding: chunked"),
    request("OPTIONS * HTTP/1.0", "Expect: 100-continue"),
    request("CONNECT [::1]:443 HTTP/1.1", "te:", "X:\t"),
  ];
  for (const message of messages) {
    for (const filler of [0, 0x0a, 0x0d, 0x20, 0x3a, 0x41, 0xff]) {
      store.memory.fill(filler, 0, 1024);
      const { start, end } = store.put(message);
      for (let cut = start; cut < end; cut++) {
        expect(parseRequestHead(head, start, cut, DEFAULT_HEAD_LIMITS), `${message.slice(0, cut - start)}|`).toBe(0);
      }
      expect(parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
    }
  }
});

it("reads nothing behind its memory", () => {
  const message = request("GET / HTTP/1.1", "te: x", "a:");
  const memory = Uint8Array.from(Buffer.from(message));
  const scratch = { memory, regionBytes: 0, allocate: () => -1, free: () => undefined };
  for (let cut = 0; cut <= memory.length; cut++) {
    const cutHead = new Head({ ...scratch, memory: memory.subarray(0, cut) });
    expect(parseRequestHead(cutHead, 0, cut, DEFAULT_HEAD_LIMITS)).toBe(cut === memory.length ? cut : 0);
  }
});

it("gives its scratch back", () => {
  expect(parse(request("GET /a/../b HTTP/1.1"))).toBe("");
  expect(store.freeRegions).toBe(ALL_REGIONS - 1);
  head.reset();
  expect(store.freeRegions).toBe(ALL_REGIONS);
});
