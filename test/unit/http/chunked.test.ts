import { describe, expect, it } from "vitest";
import { CHUNK_DATA, CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeChunkSize, encodeTrailers } from "#http/h1/encode.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { refusalOf } from "#http/refusals.ts";
import { ALL_REGIONS, OUT, TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const decoder = new ChunkedDecoder(store);

interface Decoded {
  /** "end", "more", or the code of a refusal. */
  outcome: string;
  data: string;
  /** What was left over after the end. */
  rest: string;
}

/** Decodes pieces that each begin at another place of memory, as receive buffers do. */
function decode(pieces: string[]): Decoded {
  decoder.reset(DEFAULT_HEAD_LIMITS);
  let data = "";
  for (const [index, piece] of pieces.entries()) {
    const { start, end } = store.put(piece, 33 + index);
    let at = start;
    for (;;) {
      const answer = decoder.decode(store.memory, at, end);
      if (answer < 0) return { outcome: refusalOf(answer).code, data, rest: "" };
      at = decoder.next;
      if (answer === CHUNK_DATA) data += store.text(decoder.dataStart, decoder.dataEnd);
      if (answer === CHUNK_END)
        return { outcome: "end", data, rest: store.text(at, end) + pieces.slice(index + 1).join("") };
      if (answer === CHUNK_MORE) {
        expect(at).toBe(end);
        break;
      }
    }
  }
  return { outcome: "more", data, rest: "" };
}

const VALID: readonly (readonly [string, string, [string, string][]])[] = [
  ["0\r\n\r\n", "", []],
  ["5\r\nhello\r\n0\r\n\r\n", "hello", []],
  ["5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world", []],
  ["00a\r\n0123456789\r\n000\r\n\r\n", "0123456789", []],
  ['A;n;v=1;q="x;\\""\r\n0123456789\r\n0;last\r\n\r\n', "0123456789", []],
  ["2\r\n\r\n\r\n0\r\n\r\n", "\r\n", []],
  [
    "1\r\nx\r\n0\r\nX-Sum: 1\r\nx-other:2 \r\n\r\n",
    "x",
    [
      ["x-sum", "1"],
      ["x-other", "2"],
    ],
  ],
];

describe("decode", () => {
  it.each(VALID)("%j", (body, data, trailers) => {
    expect(decode([`${body}GET /`])).toEqual({ outcome: "end", data, rest: "GET /" });
    expect(decoder.trailers.entries()).toEqual(trailers);
  });

  it("gives the same at every split into two and three pieces, and byte by byte", () => {
    for (const [body, data, trailers] of VALID) {
      const whole = `${body}GET /`;
      const same = { outcome: "end", data, rest: "GET /" };
      for (let first = 0; first <= whole.length; first++) {
        for (let second = first; second <= whole.length; second++) {
          expect(decode([whole.slice(0, first), whole.slice(first, second), whole.slice(second)])).toEqual(same);
          expect(decoder.trailers.entries()).toEqual(trailers);
        }
      }
      expect(decode(whole.split(""))).toEqual(same);
      for (let cut = 0; cut < body.length; cut++) expect(decode([body.slice(0, cut)]).outcome).toBe("more");
    }
  });

  it.each([
    ["g\r\n", "chunk-size"],
    ["\r\n", "chunk-size"],
    [";a\r\n", "chunk-size"],
    ["0x1\r\n", "chunk-size"],
    ["5 \r\n", "chunk-size"],
    ["5,\r\n", "chunk-size"],
    ["5\n", "bare-lf"],
    ["5\r\r", "bare-cr"],
    ["5;\r\n", "chunk-extension"],
    ["5;a=\r\n", "chunk-extension"],
    ["5;a b\r\n", "chunk-extension"],
    ["5; a\r\n", "chunk-extension"],
    ['5;a="\r\n', "chunk-extension"],
    ['5;a="\\\r\n', "chunk-extension"],
    ['5;a="b"c\r\n', "chunk-extension"],
    ["5;a\n", "bare-lf"],
    ["1\r\nxx", "chunk-end"],
    ["1\r\nx\n", "chunk-end"],
    ["1\r\nx\rx", "chunk-end"],
    ["0\r\n\n", "bare-lf"],
    ["0\r\n\rx", "bare-cr"],
    ["0\r\nX: 1\n", "bare-lf"],
    ["0\r\nX: 1\rY", "bare-cr"],
    ["0\r\nX\r\n\r\n", "bare-cr"],
    ["0\r\nX : 1\r\n\r\n", "space-before-colon"],
    ["0\r\nX: 1\r\n\tY: 1\r\n\r\n", "obs-fold"],
    ["0\r\nContent-Length: 1\r\n\r\n", "trailer"],
    ["0\r\ntransfer-encoding: chunked\r\n\r\n", "trailer"],
    ["0\r\nHost: a\r\n\r\n", "trailer"],
    ["0\r\nTE: trailers\r\n\r\n", "trailer"],
    ["0\r\nTrailer: x\r\n\r\n", "trailer"],
    ["0\r\nSet-Cookie: x\r\n\r\n", "trailer"],
  ])("refuses %j: %s, however it is cut", (body, code) => {
    expect(decode([body]).outcome).toBe(code);
    expect(decode(body.split("")).outcome).toBe(code);
  });
});

describe("limits, both sides", () => {
  it("size", () => {
    expect(decode(["1fffffffffffff\r\n"]).outcome).toBe("more");
    expect(decode(["20000000000000\r\n"]).outcome).toBe("chunk-size");
    expect(decode([`${"0".repeat(15)}1\r\n`]).outcome).toBe("more");
    expect(decode([`${"0".repeat(16)}1\r\n`]).outcome).toBe("chunk-size");
  });

  it("extension, of each chunk by itself", () => {
    // The bound counts what follows the first semicolon, the CR included.
    const longest = `1;${"e".repeat(255)}\r\nx\r\n`;
    expect(decode([`${longest.repeat(20)}0\r\n\r\n`]).outcome).toBe("end");
    expect(decode([`1;${"e".repeat(256)}\r\nx\r\n0\r\n\r\n`]).outcome).toBe("chunk-extension");
  });

  it("trailers", () => {
    const room = 8192 - "X: \r\n\r\n".length;
    expect(decode([`0\r\nX: ${"t".repeat(room)}\r\n\r\n`]).outcome).toBe("end");
    expect(decode([`0\r\nX: ${"t".repeat(room + 1)}\r\n\r\n`]).outcome).toBe("trailer-length");
    const lines = (count: number): string => `0\r\n${"X: 1\r\n".repeat(count)}\r\n`;
    expect(decode([lines(DEFAULT_HEAD_LIMITS.fieldsMax)]).outcome).toBe("end");
    expect(decode([lines(DEFAULT_HEAD_LIMITS.fieldsMax + 1)]).outcome).toBe("fields");
  });

  it("scratch: none without trailers, given back, and its lack is told", () => {
    decoder.reset(DEFAULT_HEAD_LIMITS);
    expect(store.freeRegions).toBe(ALL_REGIONS);
    decode(["0\r\n\r\n"]);
    expect(store.freeRegions).toBe(ALL_REGIONS);
    decode(["0\r\nX: 1\r\n\r\n"]);
    expect(store.freeRegions).toBe(ALL_REGIONS - 1);
    decoder.reset(DEFAULT_HEAD_LIMITS);
    expect(store.freeRegions).toBe(ALL_REGIONS);
    const dry = new TestMemory();
    const dryDecoder = new ChunkedDecoder(dry);
    dry.exhaust();
    dryDecoder.reset(DEFAULT_HEAD_LIMITS);
    const { start, end } = dry.put("0\r\nX: 1\r\n\r\n");
    expect(refusalOf(dryDecoder.decode(dry.memory, start, end)).code).toBe("no-buffer");
  });
});

describe("encode", () => {
  it.each([
    [1, "1\r\n"],
    [9, "9\r\n"],
    [10, "a\r\n"],
    [255, "ff\r\n"],
    [65_536, "10000\r\n"],
    [2 ** 32, "100000000\r\n"],
    [Number.MAX_SAFE_INTEGER, "1fffffffffffff\r\n"],
  ])("chunk of %i", (bytes, line) => {
    expect(store.text(OUT, encodeChunkSize(store.memory, OUT, bytes))).toBe(line);
  });

  it("last chunk and trailers, which decode again", () => {
    decode(["0\r\n\r\n"]);
    expect(store.text(OUT, encodeTrailers(decoder.trailers, OUT, OUT + 5))).toBe("0\r\n\r\n");
    expect(encodeTrailers(decoder.trailers, OUT, OUT + 4)).toBe(-1);
    decode(["0\r\nX-Sum: 1\r\ny:2\r\n\r\n"]);
    const encoded = store.text(OUT, encodeTrailers(decoder.trailers, OUT, OUT + 100));
    expect(encoded).toBe("0\r\nX-Sum: 1\r\ny:2\r\n\r\n");
    expect(decode([encoded]).outcome).toBe("end");
  });
});
