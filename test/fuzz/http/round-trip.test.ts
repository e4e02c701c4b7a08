/** Random valid requests, trailers and random edits, against a model: an array of names and values. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { CHUNK_END, CHUNK_MORE, ChunkedDecoder } from "#http/h1/chunked.ts";
import { encodeRequestHead, encodeTrailers } from "#http/h1/encode.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { internName, knownName, NAME_NO_TRAILER, nameFlags } from "#http/names.ts";
import { newTrailers } from "#http/trailers.ts";
import { runs } from "#test/support/fuzzing.ts";
import { ALL_REGIONS, OUT, TestMemory } from "#test/support/http-memory.ts";

const RUNS = runs(3000);

const store = new TestMemory();
const head = new Head(store);

function text(alphabet: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.array(fc.constantFrom(...alphabet), { minLength, maxLength }).map((characters) => characters.join(""));
}

const ALPHANUMERIC = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const token = text(`!#$%&'*+-.^_\`|~${ALPHANUMERIC}`, 1, 20);
const NAMES = ["x-a", "X-B", "accept", "Cookie", "User-Agent", "x-Later"];
const SPECIAL =
  /^(?:host|content-length|transfer-encoding|connection|upgrade|expect|keep-alive|proxy-connection|te|trailer)$/i;
const name = fc.oneof(
  fc.constantFrom(...NAMES),
  token.filter((candidate) => !SPECIAL.test(candidate)),
);
const VISIBLE = String.fromCharCode(...Array.from({ length: 94 }, (_, i) => 0x21 + i), 0x80, 0xa0, 0xff);
const value = text(`${VISIBLE} \t`, 0, 40).map((candidate) => candidate.replace(/^[ \t]+|[ \t]+$/g, ""));
const space = text(" \t", 0, 3);
const field = fc.tuple(name, space, value, space);
const segment = fc.oneof(
  text(`!$&'()*+,;=:@-_~[]^|.${ALPHANUMERIC}`, 0, 8),
  fc.constantFrom("%41", "%2f", "%2E", "%e9", ".", "%7e"),
);
const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join("/")}`);
const query = fc.option(text(VISIBLE.replaceAll(/[#\x80-\xff]/g, ""), 0, 20), { nil: undefined });

/** Names for edits come from a small pool: a process interns a bounded number of them. */
interface Edit {
  readonly kind: "set" | "add" | "remove";
  readonly name: string;
  readonly value: string;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom("set", "add", "remove"),
  name: fc.oneof(
    fc.constantFrom(...NAMES.map((known) => known.toLowerCase())),
    fc.nat(200).map((n) => `x-pool-${String(n)}`),
  ),
  value,
});

/** What RFC 3986 section 6.2.2 makes of a path, by a way as unlike ours as can be; undefined when it leads above the root. */
function normalised(raw: string): string | undefined {
  const decoded = raw.replaceAll(/%([0-9a-f]{2})/gi, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(character) ? character : escape.toUpperCase();
  });
  const kept: string[] = [];
  const segments = decoded.slice(1).split("/");
  for (const [index, one] of segments.entries()) {
    const last = index === segments.length - 1;
    if (one === "..") {
      if (kept.length === 0) return undefined;
      kept.pop();
    } else if (one !== ".") {
      kept.push(one);
      continue;
    }
    if (last) kept.push("");
  }
  return `/${kept.join("/")}`;
}

type Model = readonly (readonly [string, string])[];

/** Makes one edit, which must be done; answers the model after it. */
function edited(fields: Head, model: Model, { kind, name: lowerCase, value: wanted }: Edit): Model {
  const id = internName(lowerCase);
  const bytes = Buffer.from(wanted, "latin1");
  const first = model.findIndex(([n]) => n === lowerCase);
  if (kind === "remove") {
    expect(fields.remove(id)).toBe(model.filter(([n]) => n === lowerCase).length);
    return model.filter(([n]) => n !== lowerCase);
  }
  const done = kind === "add" ? fields.add(id, bytes, 0, bytes.length) : fields.set(id, bytes, 0, bytes.length);
  expect(done).toBe(true);
  if (kind === "add" || first < 0) return [...model, [lowerCase, wanted]];
  return model
    .filter(([n], index) => n !== lowerCase || index === first)
    .map((one) => (one[0] === lowerCase ? [lowerCase, wanted] : one));
}

it("parse, edit, encode, parse again: the same as the model at each step", () => {
  fc.assert(
    fc.property(
      token,
      path,
      query,
      fc.array(field, { maxLength: 12 }),
      fc.array(edit, { maxLength: 8 }),
      fc.boolean(),
      (method, rawPath, rawQuery, fields, edits, keep) => {
        fc.pre(!/^(?:CONNECT|TRACE|OPTIONS)$/.test(method));
        const target = rawPath + (rawQuery === undefined ? "" : `?${rawQuery}`);
        const lines = fields.map(([n, before, v, after]) => `${n}:${before}${v}${after}`);
        const message = [`${method} ${target} HTTP/1.1`, "Host: a", ...lines].join("\r\n") + "\r\n\r\n";
        const { start, end } = store.put(message);
        const answer = parseRequestHead(head, start, end, DEFAULT_HEAD_LIMITS);
        const wanted = normalised(rawPath);
        if (wanted === undefined) {
          expect(answer).toBeLessThan(0);
          return;
        }
        expect(answer).toBe(end);
        let model: Model = [["host", "a"], ...fields.map(([n, , v]) => [n.toLowerCase(), v] as const)];
        const agree = (): void => {
          expect([head.methodText(), head.pathText(), head.hasQuery ? head.queryText() : undefined]).toEqual([
            method,
            wanted,
            rawQuery,
          ]);
          expect(head.entries()).toEqual(model);
        };
        agree();
        for (const one of edits) model = edited(head, model, one);
        if (keep) {
          expect(head.keep()).toBe(true);
          store.memory.fill(0, 0, 4096);
        }
        agree();
        const options = { dropForwarded: false, appendStart: 0, appendEnd: 0, framing: head.framing, upgrade: false };
        const sentEnd = encodeRequestHead(head, OUT, OUT + 65_536, options);
        expect(parseRequestHead(head, OUT, sentEnd, DEFAULT_HEAD_LIMITS)).toBe(sentEnd);
        agree();
        head.reset();
        expect(store.freeRegions).toBe(ALL_REGIONS);
      },
    ),
    { numRuns: RUNS },
  );
});

it("trailers: received in pieces, edited, copied, edited again, sent and read: the same as the model at each step", () => {
  const decoder = new ChunkedDecoder(store);
  const copy = newTrailers(store);
  const forbidden = (candidate: string): boolean => (nameFlags(knownName(candidate)) & NAME_NO_TRAILER) !== 0;
  const read = (bytes: string, cuts: readonly number[]): void => {
    decoder.reset(DEFAULT_HEAD_LIMITS);
    const bounds = [0, ...cuts.map((cut) => cut % bytes.length), bytes.length].toSorted((a, b) => a - b);
    let answer = CHUNK_MORE;
    for (const [at, from] of bounds.slice(0, -1).entries()) {
      expect(answer).toBe(CHUNK_MORE);
      const { start, end } = store.put(bytes.slice(from, bounds[at + 1]));
      answer = decoder.decode(store.memory, start, end);
    }
    expect(answer).toBe(CHUNK_END);
  };
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 8 }),
      fc.array(edit, { maxLength: 6 }),
      fc.array(edit, { maxLength: 6 }),
      fc.array(fc.nat(500), { maxLength: 4 }),
      (fields, before, after, cuts) => {
        fc.pre(fields.every(([n]) => !forbidden(n.toLowerCase())));
        read(`0\r\n${fields.map(([n, space1, v, space2]) => `${n}:${space1}${v}${space2}\r\n`).join("")}\r\n`, cuts);
        let model: Model = fields.map(([n, , v]) => [n.toLowerCase(), v] as const);
        const change = (trailers: Head, edits: readonly Edit[]): void => {
          for (const one of edits) {
            const bytes = Buffer.from(one.value, "latin1");
            if (forbidden(one.name)) expect(trailers.add(internName(one.name), bytes, 0, bytes.length)).toBe(false);
            else model = edited(trailers, model, one);
          }
          expect(trailers.entries()).toEqual(model);
        };
        change(decoder.trailers, before);
        expect(copy.addFrom(decoder.trailers)).toBe(true);
        decoder.trailers.reset();
        change(copy, after);
        const end = encodeTrailers(copy, OUT, OUT + 65_536);
        expect(end - OUT).toBe(copy.lineBytes + "0\r\n\r\n".length);
        read(store.text(OUT, end), cuts);
        expect(decoder.trailers.entries()).toEqual(model);
        decoder.trailers.reset();
        copy.reset();
        expect(store.freeRegions).toBe(ALL_REGIONS);
      },
    ),
    { numRuns: RUNS },
  );
});
