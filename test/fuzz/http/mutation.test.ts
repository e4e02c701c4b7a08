/**
 * Corpus files, mutated. Whatever comes out, the codec must answer (never throw), in the same way however the bytes are
 * cut, and what it accepts must mean to a careless reader exactly what it means to us, both as received and as sent on.
 *
 * The harness is itself tested: readers with one rule broken on purpose must be caught by it.
 */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHUNK_DATA, CHUNK_END, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeRequestHead } from "#http/h1/encode.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { corpus } from "#test/support/http-corpus.ts";
import { mutated, offsetIn, place, runs } from "#test/support/fuzzing.ts";
import { OUT, TestMemory } from "#test/support/http-memory.ts";
import { dechunkLeniently, readLeniently, type Reading } from "#test/support/lenient-http.ts";

const RUNS = runs(15_000);

const store = new TestMemory();
const head = new Head(store);
const decoder = new ChunkedDecoder(store);

const SEEDS = corpus()
  .filter(({ bytes }) => bytes.length < 1000)
  .map(({ bytes }) => bytes.toString("latin1"));

const SPLICES = [
  ...'\r\n\0\t\x0b\x0c\x7f\x80\xa0 :;,="\\/?#%@*+-0a.',
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  " :",
  ": ",
  "\r\n ",
  "Content-Length: 5\r\n",
  "Content-Length: 6\n",
  "Content_Length: 7\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: chunked\n",
  "transfer-encoding:\tChunked \r\n",
  "Transfer-Encoding: gzip\r\n",
  "Connection: close, x-a\r\n",
  "Connection: content-length\r\n",
  "Host: a\r\n",
  "Expect: 100-continue\r\n",
  "chunked",
  ", chunked",
  "5\r\nhello\r\n",
  "0\r\n\r\n",
  "/../",
  "/%2e%2e/",
  "%2f",
  "HTTP/1.0",
  " HTTP/1.1\r\n",
  "http://u@h:1/",
];

const requests = mutated(SEEDS, SPLICES, 4);

/** Our reading, or undefined when the request is refused or not whole. */
type Reader = (text: string) => Reading | undefined;

const readOurs: Reader = (text) => {
  const { start, end } = store.put(text);
  const answer = parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS);
  if (answer <= 0) return undefined;
  return {
    method: head.methodText(),
    target: head.targetText(),
    fields: head.entries(),
    headBytes: answer - start,
    framing:
      head.framing === FRAMING_CHUNKED ? "chunked" : head.framing === FRAMING_LENGTH ? head.contentLength : "none",
  };
};

/** Fails when the reader accepts what a careless one sees differently. A length of 0 is no content: of CONNECT it is dropped. */
function check(read: Reader, text: string): void {
  const ours = read(text);
  if (ours !== undefined) expect(withoutEmpty(readLeniently(text))).toEqual(withoutEmpty(ours));
}

function withoutEmpty(reading: Reading | undefined): Reading | undefined {
  return reading?.framing === 0 ? { ...reading, framing: "none" } : reading;
}

describe("mutated requests", () => {
  it("mean to a careless reader what they mean to us", () => {
    fc.assert(
      fc.property(requests, (text) => check(readOurs, text)),
      { numRuns: RUNS },
    );
  });

  it("still do when sent on, and then no field is left that was for this hop", () => {
    fc.assert(
      fc.property(requests, (text) => {
        const received = readOurs(text);
        if (received === undefined) return;
        const options = { dropForwarded: true, appendStart: 0, appendEnd: 0, framing: head.framing, upgrade: false };
        const path = head.pathText();
        const end = encodeRequestHead(head, OUT, OUT + 65_536, options);
        expect(end).toBeGreaterThan(OUT);
        const sent = store.text(OUT, end);
        const again = readOurs(sent);
        // An HTTP/1.0 request without Host goes on with an empty one, which we would not accept ourselves.
        if (sent.includes("\r\nhost: \r\n")) return;
        expect(again).toBeDefined();
        expect(readLeniently(sent)).toEqual(again);
        expect(again?.method).toBe(received.method);
        expect(again?.framing).toBe(received.framing);
        expect(head.pathText()).toBe(path);
        for (const name of ["connection", "keep-alive", "te", "upgrade", "forwarded", "x-forwarded-for"]) {
          expect(head.get(name)).toBeUndefined();
        }
      }),
      { numRuns: RUNS },
    );
  });

  it("are answered alike however they are cut", () => {
    fc.assert(
      fc.property(requests, place, (text, where) => {
        const { start, end } = store.put(text);
        const whole = parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS);
        const part = parseRequestHead(head, start, start + offsetIn(text, where), DEFAULT_HEAD_LIMITS);
        // Of a whole that is accepted or waits, each beginning waits, or is the whole head already. A beginning that is
        // refused can only belong to a whole that is refused.
        if (whole > 0) expect(part === 0 || part === whole).toBe(true);
        if (whole === 0) expect(part).toBe(0);
        if (part > 0) expect(whole).toBe(part);
        if (part < 0) expect(whole).toBeLessThan(0);
      }),
      { numRuns: RUNS },
    );
  });

  it("have chunked bodies that a careless reader takes apart as we do", () => {
    const bodies = SEEDS.filter((seed) => /^transfer-encoding: chunked\r\n/im.test(seed)).map((seed) =>
      seed.slice(seed.indexOf("\r\n\r\n") + 4),
    );
    const body = mutated(bodies, SPLICES, 3);
    fc.assert(
      fc.property(body, (text) => {
        const { start, end } = store.put(text);
        decoder.reset(DEFAULT_HEAD_LIMITS);
        let data = "";
        let at = start;
        let answer = decoder.decode(store.memory, at, end);
        while (answer === CHUNK_DATA) {
          data += store.text(decoder.dataStart, decoder.dataEnd);
          at = decoder.next;
          answer = decoder.decode(store.memory, at, end);
        }
        if (answer === CHUNK_END) expect(dechunkLeniently(text)).toEqual({ data, rest: store.text(decoder.next, end) });
      }),
      { numRuns: RUNS },
    );
  });
});

describe("canaries: the harness catches a reader that", () => {
  /** Each repairs the request in one way before reading it, as lenient parsers do. */
  const BROKEN: readonly (readonly [string, (text: string) => string])[] = [
    ["takes a bare LF for white space", (text) => text.replaceAll(/(?<!\r)\n/g, " ")],
    ["takes a bare CR for white space", (text) => text.replaceAll(/\r(?!\n)/g, " ")],
    [
      "prefers the length to the coding",
      (text) =>
        /^content-length/im.test(text) ? text.replaceAll(/^transfer-encoding/gim, "x-ransfer-encoding") : text,
    ],
    [
      "takes the first of two lengths",
      (text) => text.replace(/(^content-length:[^\n]*\n[^]*?)^content-length/im, "$1x-ontent-length"),
    ],
    ["unfolds into a field of its own", (text) => text.replaceAll(/\r\n[ \t]+/g, "\r\nx")],
    ["drops NULs", (text) => text.replaceAll("\0", "x")],
    [
      "takes any coding for none",
      (text) => text.replaceAll(/^transfer-encoding: .?chunked.+$/gim, "x-anything-of-it: chunked ignored"),
    ],
  ];

  it.each(BROKEN)("%s", (_name, repair) => {
    const broken: Reader = (text) => readOurs(repair(text));
    const outcome = fc.check(
      fc.property(requests, (text) => check(broken, text)),
      { numRuns: 20_000, seed: 1, endOnFailure: true },
    );
    expect(outcome.failed).toBe(true);
  });
});
