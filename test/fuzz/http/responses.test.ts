/**
 * Responses of an upstream, mutated: the codec answers, never throws, alike at every split point, and what it accepts has
 * the fields that a careless reader sees. A response that is read in two ways puts bytes into the next client's answer.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, Head, METHOD_GET } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { mutated, runs } from "#test/support/fuzzing.ts";
import { TestMemory } from "#test/support/http-memory.ts";
import { readLeniently } from "#test/support/lenient-http.ts";

const store = new TestMemory();
const head = new Head(store);

const SEEDS = [
  "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
  "HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nto the end",
  "HTTP/1.1 204 \r\nx-a: 1\r\nX-B:2 \r\n\r\n",
  'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\ncontent-length: 99\r\n\r\n',
  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
  "HTTP/1.1 500 Gr\xfc\xdfe\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nkeep-alive: timeout=5\r\ncontent-length:0\r\n\r\n",
  "HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n",
];
const SPLICES = [
  ..."\r\n\0\t :,;5a\x7f\x80",
  "\r\n",
  "\n\n",
  "\r\n ",
  "Content-Length: 6\r\n",
  "content-length:\t5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "transfer-encoding: gzip, chunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Connection: content-length\r\n",
  "HTTP/1.1 200 OK\r\n",
  "HTTP/2 200\r\n",
];
const responses = mutated(SEEDS, SPLICES, 4);

interface Reading {
  readonly status: number;
  readonly fields: (readonly [string, string])[];
  readonly framing: string | number;
}

type Reader = (text: string) => Reading | undefined;

const readOurs: Reader = (text) => {
  const { start, end } = store.put(text);
  if (parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET) <= 0) return undefined;
  const { framing, contentLength } = head;
  return {
    status: head.status,
    fields: head.entries(),
    framing: framing === FRAMING_CHUNKED ? "chunked" : framing === FRAMING_LENGTH ? contentLength : "none",
  };
};

/** The fields of a response are a request's (RFC 9112 §5): the careless reader of those sees them too. */
function careless(text: string): Reading | undefined {
  const reading = readLeniently(text.replace(/^HTTP\/[^\n]*/, "GET / HTTP/1.1"));
  if (reading === undefined) return undefined;
  const status = Number.parseInt(/^HTTP\/\S+\s+(\d+)/.exec(text)?.[1] ?? "", 10);
  const bodiless = status < 200 || status === 204 || status === 304;
  return { status, fields: reading.fields, framing: bodiless ? "none" : reading.framing };
}

function check(read: Reader, text: string): void {
  const ours = read(text);
  if (ours !== undefined) expect(careless(text)).toEqual(ours);
}

describe("mutated responses", () => {
  it("mean to a careless reader what they mean to us", () => {
    fc.assert(
      fc.property(responses, (text) => check(readOurs, text)),
      { numRuns: runs(8000) },
    );
  });

  it("are answered alike wherever they are cut", () => {
    fc.assert(
      fc.property(responses, (text) => {
        const { start, end } = store.put(text);
        const whole = parseResponseHead(head, start, end, DEFAULT_HEAD_LIMITS, METHOD_GET);
        for (let cut = start; cut < end; cut++) {
          const part = parseResponseHead(head, start, cut, DEFAULT_HEAD_LIMITS, METHOD_GET);
          if (part === 0) continue;
          // Once there is a verdict, what comes later does not change it; refusals may name another fault.
          expect(part > 0 ? part : "refused").toBe(whole > 0 ? whole : "refused");
        }
      }),
      { numRuns: runs(800) },
    );
  });
});

describe("canaries: the harness catches a reader that", () => {
  const BROKEN: readonly (readonly [string, (text: string) => string])[] = [
    ["takes a bare LF for white space", (text) => text.replaceAll(/(?<!\r)\n/g, " ")],
    ["unfolds into a field of its own", (text) => text.replaceAll(/\r\n[ \t]+/g, "\r\nx")],
    ["prefers the length to the coding", (text) => text.replaceAll(/^transfer-encoding/gim, "x-ransfer-encoding")],
    ["drops NULs", (text) => text.replaceAll("\0", "x")],
  ];

  it.each(BROKEN)("%s", (_name, repair) => {
    const outcome = fc.check(
      fc.property(responses, (text) => check((one) => readOurs(repair(one)), text)),
      { numRuns: 20_000, seed: 1, endOnFailure: true },
    );
    expect(outcome.failed).toBe(true);
  });
});
