import { expect, it } from "vitest";
import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { corpus } from "#test/support/http-corpus.ts";
import { TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const head = new Head(store);
const decoder = new ChunkedDecoder(store);

/** The status the codec stands for, given the bytes in pieces of `step`; 200 when it accepts all of them, 0 when it waits. */
function read(bytes: Buffer, step: number): number {
  const { start, end } = store.put(bytes);
  let at = 0;
  let received = start;
  while (at === 0) {
    if (received === end) return 0;
    received = Math.min(received + step, end);
    at = parseRequestHead(head, start, received, DEFAULT_HEAD_LIMITS);
  }
  if (at < 0) return refusalOf(at).status;
  if (head.framing !== FRAMING_CHUNKED) {
    expect(end - at).toBe(head.framing === FRAMING_LENGTH ? head.contentLength : 0);
    return 200;
  }
  decoder.reset(DEFAULT_HEAD_LIMITS);
  for (;;) {
    const answer = decoder.decode(store.memory, at, received);
    if (answer < 0) return refusalOf(answer).status;
    at = decoder.next;
    if (answer === CHUNK_END) {
      expect(at).toBe(end);
      return 200;
    }
    if (answer === CHUNK_DATA) continue;
    expect(answer).toBe(CHUNK_MORE);
    if (received === end) return 0;
    received = Math.min(received + step, end);
  }
}

it("has the size that a change can't halve unnoticed", () => {
  expect(corpus().length).toBeGreaterThanOrEqual(220);
});

it.each(corpus())("$name: $status", ({ bytes, status }) => {
  expect(read(bytes, bytes.length)).toBe(status);
  // In small pieces a longer head is parsed again and again; the large ones are left to larger steps.
  for (const step of bytes.length < 2000 ? [1, 2, 7] : [500, 4096]) expect(read(bytes, step)).toBe(status);
});
