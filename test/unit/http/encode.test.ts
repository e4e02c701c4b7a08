import { describe, expect, it } from "vitest";
import { AssertionError } from "#core/assert.ts";
import { encodeLocalReply, encodeRequestHead, encodeResponseHead, type RequestEncodeOptions } from "#http/h1/encode.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import {
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  METHOD_GET,
  METHOD_HEAD,
} from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { HOST } from "#http/names.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";
import { OUT, TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const head = new Head(store);
const DATE = Buffer.from("date: now\r\n");
const APPEND_AT = OUT - 1024;

function lines(...text: string[]): string {
  return text.join("\r\n") + "\r\n\r\n";
}

interface Options extends Partial<Omit<RequestEncodeOptions, "appendStart" | "appendEnd">> {
  append?: string;
}

/** Encodes what was parsed, and checks at every smaller limit that it says so instead of writing past it. */
function encodeAtEveryLimit(encode: (limit: number) => number): string {
  const end = encode(OUT + 4096);
  expect(end).toBeGreaterThan(OUT);
  const text = store.text(OUT, end);
  for (let limit = OUT; limit < end; limit++) {
    store.memory.fill(0xee, limit, end + 64);
    expect(encode(limit)).toBe(-1);
    for (let at = limit; at < end + 64; at++) expect(store.memory[at]).toBe(0xee);
  }
  return text;
}

function request(message: string, options: Options = {}): string {
  const { start, end } = store.put(message);
  expect(parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS)).toBe(end);
  const append = store.put(options.append ?? "", APPEND_AT);
  const all = {
    dropForwarded: false,
    framing: head.framing,
    upgrade: false,
    ...options,
    appendStart: append.start,
    appendEnd: append.end,
  };
  return encodeAtEveryLimit((limit) => encodeRequestHead(head, OUT, limit, all));
}

describe("request", () => {
  it.each([
    ["GET / HTTP/1.1", "GET / HTTP/1.1"],
    ["GET /a?b HTTP/1.1", "GET /a?b HTTP/1.1"],
    ["GET /a? HTTP/1.1", "GET /a? HTTP/1.1"],
    ["GET /a? HTTP/1.0", "GET /a? HTTP/1.1"],
    ["GET /a/./b?c HTTP/1.1", "GET /a/b?c HTTP/1.1"],
    ["GET /%7e HTTP/1.1", "GET /~ HTTP/1.1"],
    ["GET /%2f HTTP/1.1", "GET /%2F HTTP/1.1"],
    ["get / HTTP/1.0", "get / HTTP/1.1"],
    ["OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1"],
    ["OPTIONS * HTTP/1.0", "OPTIONS * HTTP/1.1"],
  ])("%s: %s", (received, sent) => {
    expect(request(lines(received, "Host: a", "X:  1 "))).toBe(lines(sent, "Host: a", "X:  1 "));
  });

  it.each([
    ["GET http://B:81/x?y HTTP/1.1", "GET /x?y HTTP/1.1", "host: b:81"],
    ["GET http://B HTTP/1.1", "GET / HTTP/1.1", "host: b"],
    ["GET https://[::1]?q HTTP/1.1", "GET /?q HTTP/1.1", "host: [::1]"],
    ["OPTIONS http://B:81 HTTP/1.1", "OPTIONS * HTTP/1.1", "host: b:81"],
  ])("absolute form becomes origin form and its own Host: %s", (received, sent, host) => {
    expect(request(lines(received, "X: 1", "Host: other", "Y: 2"))).toBe(lines(sent, "X: 1", "Y: 2", host));
  });

  it.each(["1.0", "1.1"])("authority form has the same Host, whatever was said or set, over HTTP/%s", (version) => {
    const received = lines(`CONNECT A:1 HTTP/${version}`, "X: 1", "Host: other:2", "Y: 2");
    const sent = lines("CONNECT A:1 HTTP/1.1", "X: 1", "Y: 2", "host: A:1");
    expect(request(received)).toBe(sent);
    const { start, end } = store.put("elsewhere:3", OUT - 512);
    expect(head.set(HOST, store.memory, start, end)).toBe(true);
    const options = { dropForwarded: false, framing: head.framing, upgrade: false, appendStart: 0, appendEnd: 0 };
    expect(encodeAtEveryLimit((limit) => encodeRequestHead(head, OUT, limit, options))).toBe(sent);
  });

  it("a length of 0 does not go on with CONNECT", () => {
    const received = lines("CONNECT a:1 HTTP/1.1", "Host: a:1", "Content-Length: 0");
    expect(request(received)).toBe(lines("CONNECT a:1 HTTP/1.1", "host: a:1"));
  });

  it("writes an empty Host for HTTP/1.0 without one", () => {
    expect(request("GET / HTTP/1.0\r\n\r\n")).toBe(lines("GET / HTTP/1.1", "host: "));
  });

  it("leaves out what is for this hop only", () => {
    const received = lines(
      "GET / HTTP/1.1",
      "Connection: x-mine, close",
      "Host: a",
      "Keep-Alive: 5",
      "X-Mine: 1",
      "x-mine: 2",
      "Proxy-Connection: x",
      "TE: gzip",
      "Upgrade: h2c",
      "Trailer: x",
      "X-Yours: 3",
    );
    expect(request(received)).toBe(lines("GET / HTTP/1.1", "Host: a", "X-Yours: 3"));
  });

  it.each([
    ["trailers", true],
    ["deflate;q=0.5, TRAILERS", true],
    [",\t trailers ,", true],
    ["trailers;q=1", false],
    ["xtrailers, trailers2", false],
    ["", false],
  ])("TE: %s goes on as far as trailers do: %s", (value, told) => {
    const received = lines("GET / HTTP/1.1", "Host: a", "Connection: te", `TE: ${value}`);
    const te = ["te: trailers", "connection: te"];
    expect(request(received)).toBe(lines("GET / HTTP/1.1", "Host: a", ...(told ? te : [])));
    expect(request(received.replace("HTTP/1.1", "HTTP/1.0"))).toBe(lines("GET / HTTP/1.1", "Host: a"));
  });

  it("TE in the second of two fields counts as well, and not where the protocol changes", () => {
    const received = lines("GET / HTTP/1.1", "Host: a", "TE: gzip", "te: trailers");
    expect(request(received)).toBe(lines("GET / HTTP/1.1", "Host: a", "te: trailers", "connection: te"));
    expect(request(received, { upgrade: true })).toBe(lines("GET / HTTP/1.1", "Host: a", "connection: upgrade"));
  });

  it("leaves out a client's story of where it comes from, and tells another", () => {
    const received = lines(
      "GET / HTTP/1.1",
      "Host: a",
      "Forwarded: for=1",
      "X-Forwarded-For: 1",
      "x-forwarded-proto: https",
      "X-Forwarded-Never-Seen: 1",
      "X_Forwarded_For: 1",
      "X-Forwarded_Host: 1",
      "X-Forwarded-: 1",
      "X-Forwarde: kept",
      "Via: kept",
    );
    const append = "x-forwarded-for: 203.0.113.7\r\n";
    expect(request(received, { dropForwarded: true, append })).toBe(
      lines("GET / HTTP/1.1", "Host: a", "X-Forwarde: kept", "Via: kept", "x-forwarded-for: 203.0.113.7"),
    );
    expect(request(received, { append })).toBe(received.slice(0, -2) + append + "\r\n");
  });

  it.each([
    [["Content-Length: 5"], FRAMING_LENGTH, ["Content-Length: 5"]],
    [["Content-Length: 5"], FRAMING_CHUNKED, ["transfer-encoding: chunked"]],
    [["Content-Length: 5"], FRAMING_NONE, []],
    [["Transfer-Encoding: chunked"], FRAMING_CHUNKED, ["transfer-encoding: chunked"]],
    [["Transfer-Encoding: chunked"], FRAMING_LENGTH, ["content-length: 0"]],
    [["Transfer-Encoding: chunked", "Trailer: x"], FRAMING_CHUNKED, ["Trailer: x", "transfer-encoding: chunked"]],
    [[], FRAMING_NONE, []],
  ])("%j sent with framing %i: %j", (received, framing, sent) => {
    expect(request(lines("POST / HTTP/1.1", "Host: a", ...received), { framing })).toBe(
      lines("POST / HTTP/1.1", "Host: a", ...sent),
    );
  });

  it("passes an upgrade on when asked to", () => {
    const received = lines(
      "GET / HTTP/1.1",
      "Host: a",
      "Connection: Upgrade, x",
      "X: 1",
      "Upgrade: websocket",
      "upgrade: h2c",
    );
    expect(request(received, { upgrade: true })).toBe(
      lines("GET / HTTP/1.1", "Host: a", "connection: upgrade", "upgrade: websocket", "upgrade: h2c"),
    );
  });

  it("drops Expect when the gateway has answered it", () => {
    const received = lines("PUT / HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 5");
    expect(request(received, { dropExpect: true })).toBe(lines("PUT / HTTP/1.1", "Host: a", "Content-Length: 5"));
    expect(request(received)).toBe(received);
  });
});

function response(
  message: string,
  options: Partial<Parameters<typeof encodeResponseHead>[3]> = {},
  method = METHOD_GET,
): string {
  const { start, end } = store.put(message);
  expect(parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, method)).toBe(end);
  const all = {
    minor: 1,
    framing: head.framing,
    keepAlive: true,
    appendStart: 0,
    appendEnd: 0,
    upgrade: false,
    ...options,
  };
  return encodeAtEveryLimit((limit) => encodeResponseHead(head, OUT, limit, all));
}

describe("response", () => {
  it.each([
    ["HTTP/1.1 200 OK", "HTTP/1.1 200 OK"],
    ["HTTP/1.0 200 Fine", "HTTP/1.1 200 Fine"],
    ["HTTP/1.1 299 ", "HTTP/1.1 299 "],
    ["HTTP/1.1 299", "HTTP/1.1 299 "],
  ])("%s: %s", (received, sent) => {
    expect(response(lines(received, "A: 1", "Content-Length: 0"))).toBe(lines(sent, "A: 1", "Content-Length: 0"));
  });

  it.each([
    [{ keepAlive: true, minor: 1 }, []],
    [{ keepAlive: false, minor: 1 }, ["connection: close"]],
    [{ keepAlive: true, minor: 0 }, ["connection: keep-alive"]],
    [{ keepAlive: false, minor: 0 }, ["connection: close"]],
  ])("%j says %j", (options, fields) => {
    expect(response(lines("HTTP/1.1 200 OK", "Connection: close", "Content-Length: 0"), options)).toBe(
      lines("HTTP/1.1 200 OK", "Content-Length: 0", ...fields),
    );
  });

  it.each([
    ["HTTP/1.1 200 OK", ["Content-Length: 5"], FRAMING_CHUNKED, ["transfer-encoding: chunked"]],
    ["HTTP/1.1 200 OK", ["Content-Length: 5"], FRAMING_CLOSE, []],
    ["HTTP/1.1 200 OK", ["Transfer-Encoding: chunked", "Trailer: x"], FRAMING_CLOSE, []],
    ["HTTP/1.1 200 OK", [], FRAMING_CHUNKED, ["transfer-encoding: chunked"]],
    ["HTTP/1.1 304 Not Modified", ["Content-Length: 5"], FRAMING_NONE, ["Content-Length: 5"]],
    ["HTTP/1.1 204 No Content", ["Content-Length: 5"], FRAMING_NONE, []],
    ["HTTP/1.1 103 Early Hints", ["Transfer-Encoding: chunked"], FRAMING_NONE, []],
  ])("%s %j with framing %i: %j", (line, received, framing, sent) => {
    expect(response(lines(line, ...received), { framing })).toBe(lines(line, ...sent));
  });

  it("keeps the length that answers HEAD", () => {
    const received = lines("HTTP/1.1 200 OK", "Content-Length: 5");
    expect(response(received, {}, METHOD_HEAD)).toBe(received);
  });

  it("agrees to an upgrade", () => {
    expect(
      response(lines("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket"), {
        upgrade: true,
      }),
    ).toBe(lines("HTTP/1.1 101 Switching Protocols", "connection: upgrade", "upgrade: websocket"));
  });

  it("sends the registered phrase of an edited status", () => {
    const { start, end } = store.put(lines("HTTP/1.1 200 OK", "Content-Length: 0"));
    expect(parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET)).toBe(end);
    expect(head.setStatus(404)).toBe(true);
    const options = {
      minor: 1,
      framing: FRAMING_LENGTH,
      keepAlive: true,
      appendStart: 0,
      appendEnd: 0,
      upgrade: false,
    };
    expect(encodeAtEveryLimit((limit) => encodeResponseHead(head, OUT, limit, options))).toBe(
      lines("HTTP/1.1 404 Not Found", "Content-Length: 0"),
    );
  });
});

describe("local reply", () => {
  it.each([
    [404, 12, true, 1, ["content-length: 12"]],
    [404, 0, false, 1, ["content-length: 0", "connection: close"]],
    [204, 0, true, 0, ["connection: keep-alive"]],
    [100, 0, true, 1, []],
  ])("%i with %i bytes", (status, bytes, keepAlive, minor, sent) => {
    const headers = [["content-type", "text/plain"]] as const;
    const text = encodeAtEveryLimit((limit) =>
      encodeLocalReply(store.memory, OUT, limit, status, headers, bytes, keepAlive, DATE, minor),
    );
    const dated = status < 200 ? [] : ["date: now"];
    const fields = ["content-type: text/plain", ...dated, ...sent];
    expect(text).toBe(lines(`HTTP/1.1 ${String(status)} ${reasonPhrase(status)}`, ...fields));
  });

  it.each(["date", "Date"])("has no other date than the one that it was given as %s", (name) => {
    const end = encodeLocalReply(store.memory, OUT, OUT + 4096, 204, [[name, "then"]], 0, true, DATE);
    expect(store.text(OUT, end)).toBe(lines("HTTP/1.1 204 No Content", `${name}: then`));
  });

  it.each([
    ["x", "a\r\nb"],
    ["x y", "a"],
    ["", "a"],
    ["x", "\u0100"],
  ])("asserts that %j: %j never gets here", (name, value) => {
    expect(() => encodeLocalReply(store.memory, OUT, OUT + 4096, 200, [[name, value]], 0, true, DATE)).toThrow(
      AssertionError,
    );
  });

  it("knows phrases of registered codes only", () => {
    expect([reasonPhrase(431), reasonPhrase(299), reasonPhrase(999)]).toEqual([
      "Request Header Fields Too Large",
      "",
      "",
    ]);
  });
});
