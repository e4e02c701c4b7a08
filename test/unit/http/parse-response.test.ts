import { describe, expect, it } from "vitest";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import {
  FRAMING_CHUNKED,
  FRAMING_CLOSE,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  METHOD_CONNECT,
  METHOD_GET,
  METHOD_HEAD,
} from "#http/head.ts";
import { encodeResponseHead } from "#http/h1/encode.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { OUT, TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const head = new Head(store);

function parse(message: string, method = METHOD_GET): string {
  const { start, end } = store.put(message);
  const answer = parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, method);
  if (answer > 0) return "";
  return answer === 0 ? "incomplete" : refusalOf(answer).code;
}

function response(line: string, ...fields: string[]): string {
  return [line, ...fields].join("\r\n") + "\r\n\r\n";
}

describe("status line", () => {
  it.each([
    ["HTTP/1.1 200 OK", 200, "OK", 1],
    ["HTTP/1.0 404 Not Found", 404, "Not Found", 0],
    ["HTTP/1.1 200 ", 200, "", 1],
    ["HTTP/1.1 200", 200, "", 1],
    ["HTTP/1.1 599 \t\xe9", 599, "\t\xe9", 1],
    ["HTTP/1.1 100 Continue", 100, "Continue", 1],
  ])("%j", (line, status, reason, minor) => {
    expect(parse(response(line, "Content-Length: 0"))).toBe("");
    expect(head.status).toBe(status);
    expect(head.reasonText()).toBe(reason);
    expect(head.minor).toBe(minor);
  });

  it.each([
    ["HTTP/1.2 200 OK", "status-line"],
    ["HTTP/2.0 200 OK", "status-line"],
    ["HTTP/1.1  200 OK", "status-line"],
    ["HTTP/1.1 099 OK", "status-line"],
    ["HTTP/1.1 600 OK", "status-line"],
    ["HTTP/1.1 20 OKAY", "status-line"],
    ["HTTP/1.1 2000 OK", "status-line"],
    ["HTTP/1.1 20x OK", "status-line"],
    ["HTTP/1.1 200\tOK", "status-line"],
    ["ICY 200 OK okok", "status-line"],
    ["\r\nHTTP/1.1 200 OK", "status-line"],
    ["HTTP/1.1 200 O\0K", "control-byte"],
    ["HTTP/1.1 200 OK\n", "bare-lf"],
    ["HTTP/1.1 200 O\rK", "bare-cr"],
  ])("refuses %j: %s", (line, code) => {
    expect(parse(response(line, "Content-Length: 0"))).toBe(code);
  });

  it("refuses what does not begin as HTTP without waiting for more", () => {
    expect(parse("SSH-")).toBe("status-line");
    expect(parse("HTTP/1.")).toBe("incomplete");
  });
});

const NO_FIELDS: string[] = [];
const LENGTH = ["Content-Length: 5"];
const CHUNKED = ["Transfer-Encoding: chunked"];

describe("framing (RFC 9112 section 6.3)", () => {
  it.each([
    // status, fields, request method, framing, keep-alive
    [200, LENGTH, METHOD_GET, FRAMING_LENGTH, true],
    [200, CHUNKED, METHOD_GET, FRAMING_CHUNKED, true],
    [200, NO_FIELDS, METHOD_GET, FRAMING_CLOSE, false],
    [200, ["Connection: close", ...LENGTH], METHOD_GET, FRAMING_LENGTH, false],
    [200, LENGTH, METHOD_HEAD, FRAMING_NONE, true],
    [200, CHUNKED, METHOD_HEAD, FRAMING_NONE, true],
    [200, NO_FIELDS, METHOD_HEAD, FRAMING_NONE, true],
    [304, LENGTH, METHOD_GET, FRAMING_NONE, true],
    [304, NO_FIELDS, METHOD_GET, FRAMING_NONE, true],
    [204, NO_FIELDS, METHOD_GET, FRAMING_NONE, true],
    [204, ["Content-Length: 0"], METHOD_GET, FRAMING_NONE, true],
    [204, LENGTH, METHOD_GET, FRAMING_NONE, false],
    [204, CHUNKED, METHOD_GET, FRAMING_NONE, false],
    [100, NO_FIELDS, METHOD_GET, FRAMING_NONE, true],
    [103, LENGTH, METHOD_GET, FRAMING_NONE, false],
    [200, NO_FIELDS, METHOD_CONNECT, FRAMING_NONE, true],
    [299, CHUNKED, METHOD_CONNECT, FRAMING_NONE, true],
    [200, ["Content-Length: 5", "Content-Length: x", ...CHUNKED], METHOD_CONNECT, FRAMING_NONE, true],
    [407, LENGTH, METHOD_CONNECT, FRAMING_LENGTH, true],
    [205, NO_FIELDS, METHOD_GET, FRAMING_CLOSE, false],
  ])("%i %j to %i", (status, fields, method, framing, keepAlive) => {
    expect(parse(response(`HTTP/1.1 ${String(status)} x`, ...fields), method)).toBe("");
    expect(head.framing).toBe(framing);
    expect(head.keepAlive).toBe(keepAlive);
  });

  it.each([
    [["Content-Length: 5", "Content-Length: 5"], "content-length-repeated"],
    [["Content-Length: 5x"], "content-length"],
    [["Content-Length: 5", "Transfer-Encoding: chunked"], "two-framings"],
    [["Transfer-Encoding: gzip, chunked"], "transfer-coding"],
    [["Connection: content-length", "Content-Length: 5"], "connection"],
  ])("refuses %j: %s", (fields, code) => {
    expect(parse(response("HTTP/1.1 200 OK", ...fields))).toBe(code);
  });

  it("HTTP/1.0 has no codings and closes unless it says otherwise", () => {
    expect(parse(response("HTTP/1.0 200 OK", ...CHUNKED))).toBe("transfer-encoding-version");
    expect(parse(response("HTTP/1.0 200 OK", ...LENGTH))).toBe("");
    expect(head.keepAlive).toBe(false);
    expect(parse(response("HTTP/1.0 200 OK", "Connection: keep-alive", ...LENGTH))).toBe("");
    expect(head.keepAlive).toBe(true);
  });

  it("says nothing of a length behind a success of CONNECT", () => {
    expect(parse(response("HTTP/1.1 200 OK", "Content-Length: 5", "X: y", "Content-Length: 6"), METHOD_CONNECT)).toBe(
      "",
    );
    const encoded = { minor: 1, framing: FRAMING_NONE, keepAlive: true, appendStart: 0, appendEnd: 0, upgrade: false };
    const end = encodeResponseHead(head, OUT, OUT + 1024, encoded);
    expect(store.text(OUT, end)).toBe("HTTP/1.1 200 OK\r\nX: y\r\n\r\n");
  });

  it("upgrades with 101 only", () => {
    const fields = ["Connection: upgrade", "Upgrade: websocket"];
    expect(parse(response("HTTP/1.1 101 Switching Protocols", ...fields))).toBe("");
    expect(head.upgrade).toBe(true);
    expect(parse(response("HTTP/1.1 426 Upgrade Required", ...fields, "Content-Length: 0"))).toBe("");
    expect(head.upgrade).toBe(false);
  });
});

it("every beginning of a response is incomplete", () => {
  const message = response("HTTP/1.1 200 OK", "Content-Length: 5", "X: y", "Connection: x-z, keep-alive");
  for (const filler of [0, 0x0a, 0x0d, 0x20, 0x3a]) {
    store.memory.fill(filler, 0, 512);
    const { start, end } = store.put(message);
    for (let cut = start; cut < end; cut++) {
      expect(parseResponseHead(head, start, cut, DEFAULT_HEAD_LIMITS, METHOD_GET)).toBe(0);
    }
    expect(parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET)).toBe(end);
  }
});

it("keeps to the limits on both sides", () => {
  const limits = { headBytesMax: 60, targetBytesMax: 1, fieldsMax: 2 };
  const exact = response("HTTP/1.1 200 OK", "Content-Length: 5", `X: ${"y".repeat(17)}`);
  expect(exact.length).toBe(60);
  for (const [message, expected] of [
    [exact, true],
    [response("HTTP/1.1 200 OK", "Content-Length: 5", `X: ${"y".repeat(18)}`), false],
    [response("HTTP/1.1 200 OK", "A: 1", "B: 1"), true],
    [response("HTTP/1.1 200 OK", "A: 1", "B: 1", "C: 1"), false],
  ] as const) {
    const { start, end } = store.put(message);
    expect(parseResponseHead(head, start, end, limits, METHOD_GET) > 0).toBe(expected);
  }
});
