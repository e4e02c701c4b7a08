/** Trailer sections: what may stand in them, copies that outlast what was received, and the way over the wire and back. */
import { beforeEach, describe, expect, it } from "vitest";
import { ADDED_FIELDS_MAX, DEFAULT_HEAD_LIMITS, FIELDS_MAX, TRAILER_BYTES_MAX } from "#http/limits.ts";
import { CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeTrailers } from "#http/h1/encode.ts";
import type { Head } from "#http/head.ts";
import * as names from "#http/names.ts";
import { newTrailers } from "#http/trailers.ts";
import { ALL_REGIONS, OUT, TestMemory } from "#test/support/http-memory.ts";

const { internName, NAME_FIXED, NAME_NO_TRAILER, nameFlags, nameText } = names;
const X_SUM = internName("x-sum");
let store: TestMemory;
let made: Head;
beforeEach(() => {
  store = new TestMemory();
  made = newTrailers(store);
});

function add(head: Head, name: number, value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  return head.add(name, bytes, 0, bytes.length);
}

function set(head: Head, name: number, value: string): boolean {
  const bytes = Buffer.from(value, "latin1");
  return head.set(name, bytes, 0, bytes.length);
}

/** As received behind `0 CRLF`. */
function received(lines: string): Head {
  const decoder = new ChunkedDecoder(store);
  decoder.reset(DEFAULT_HEAD_LIMITS);
  const { start, end } = store.put(`0\r\n${lines}\r\n`);
  expect(decoder.decode(store.memory, start, end)).toBe(CHUNK_END);
  return decoder.trailers;
}

describe("a section", () => {
  it("takes no field that must be known before the content, and what is for one hop only", () => {
    const forbidden = Array.from({ length: names.newestName() }, (_, index) => index + 1).filter(
      (id) => (nameFlags(id) & (NAME_FIXED | NAME_NO_TRAILER)) !== 0,
    );
    expect(forbidden.map(nameText)).toEqual(
      expect.arrayContaining([
        "host",
        "content-length",
        "trailer",
        "te",
        "authorization",
        "set-cookie",
        "content-type",
      ]),
    );
    for (const id of forbidden) {
      expect([nameText(id), add(made, id, "a.example"), set(made, id, "a.example")]).toEqual([
        nameText(id),
        false,
        false,
      ]);
    }
    expect([made.entries(), add(made, names.ETAG, '"a"')]).toEqual([[], true]);
  });

  it("that was received is held to the same", () => {
    const trailers = received("x-sum: 1\r\n");
    expect([
      set(trailers, names.CONTENT_TYPE, "a/b"),
      add(trailers, names.HOST, "a"),
      set(trailers, X_SUM, "2"),
    ]).toEqual([false, false, true]);
    expect(trailers.entries()).toEqual([["x-sum", "2"]]);
  });

  it("takes memory with its first line, and gives it back", () => {
    expect(store.freeRegions).toBe(ALL_REGIONS);
    expect(add(made, X_SUM, "1")).toBe(true);
    expect(store.freeRegions).toBe(ALL_REGIONS - 1);
    made.reset();
    expect([store.freeRegions, made.entries()]).toEqual([ALL_REGIONS, []]);
  });

  it("has a bound, so that all of it fits into what is sent at once", () => {
    const line = "x-sum: ".length + 2;
    expect(add(made, X_SUM, "v".repeat(2 * TRAILER_BYTES_MAX - line + 1))).toBe(false);
    expect(add(made, X_SUM, "v".repeat(2 * TRAILER_BYTES_MAX - line))).toBe(true);
    expect(add(made, X_SUM, "")).toBe(false);
    expect(made.lineBytes).toBe(2 * TRAILER_BYTES_MAX);
  });
});

describe("a copy", () => {
  it("has every line that goes on, as it stood, and outlasts the original", () => {
    const original = received("X-Sum: 1\r\nX-Gone: 2\r\nEmpty:\r\nX-SUM:  3 \r\n");
    original.remove(internName("x-gone"));
    expect(made.addFrom(original)).toBe(true);
    const bytes = original.lineBytes;
    store.memory.fill(0x2a, original.start, original.end);
    original.reset();
    expect(made.entries()).toEqual([
      ["x-sum", "1"],
      ["empty", ""],
      ["x-sum", "3"],
    ]);
    expect(made.lineBytes).toBe(bytes);
    expect(store.text(OUT, encodeTrailers(made, OUT, OUT + 100))).toBe("0\r\nX-Sum: 1\r\nEmpty:\r\nX-SUM:  3 \r\n\r\n");
    expect([made.remove(X_SUM), made.get("empty")]).toEqual([2, ""]);
  });

  it("finds names that were interned after it was received", () => {
    const original = received("x-late-name-of-trailers: 1\r\n");
    const late = internName("x-late-name-of-trailers");
    made.reset();
    made.addFrom(original);
    expect([made.find(late), made.remove(late)]).toEqual([0, 1]);
  });

  it("says when there is no room: of lines, of bytes, of memory", () => {
    const one = received("x-sum: 1\r\n");
    for (let i = 0; i < FIELDS_MAX + ADDED_FIELDS_MAX; i++) expect(add(made, X_SUM, "")).toBe(true);
    expect(made.addFrom(one)).toBe(false);
    made.reset();
    expect(add(made, X_SUM, "v".repeat(2 * TRAILER_BYTES_MAX - 20))).toBe(true);
    expect([made.addFrom(one), made.addFrom(one)]).toEqual([true, false]);
    made.reset();
    store.exhaust();
    expect(made.addFrom(one)).toBe(false);
  });
});

it("a section that was made is read as it was written, wherever it is cut", () => {
  add(made, X_SUM, "abc");
  add(made, names.ETAG, '"1"');
  add(made, X_SUM, "def");
  made.remove(names.ETAG);
  const text = store.text(OUT, encodeTrailers(made, OUT, OUT + 100));
  const decoder = new ChunkedDecoder(store);
  for (let cut = 1; cut < text.length; cut++) {
    decoder.reset(DEFAULT_HEAD_LIMITS);
    const first = store.put(text.slice(0, cut));
    expect(decoder.decode(store.memory, first.start, first.end)).toBe(CHUNK_MORE);
    const second = store.put(text.slice(cut), 4096);
    expect(decoder.decode(store.memory, second.start, second.end)).toBe(CHUNK_END);
    expect(decoder.trailers.entries()).toEqual([
      ["x-sum", "abc"],
      ["x-sum", "def"],
    ]);
  }
});
