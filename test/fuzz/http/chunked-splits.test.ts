/** Mutated chunked bodies, cut in two at every byte: the data, the end and the verdict are those of the whole. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { CHUNK_DATA, CHUNK_END, ChunkedDecoder } from "#http/h1/chunked.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { mutated, runs } from "#test/support/fuzzing.ts";
import { TestMemory } from "#test/support/http-memory.ts";

const store = new TestMemory();
const decoder = new ChunkedDecoder(store);

const SEEDS = [
  "5\r\nhello\r\n0\r\n\r\nNEXT",
  "a;name=value;x\r\n0123456789\r\n00003\r\nabc\r\n0\r\nx-sum: 1\r\nX-B:  2\r\n\r\n",
  '1;q="a;b"\r\nx\r\n0;last\r\n\r\n',
  "0\r\n\r\n",
];
const SPLICES = [..."\r\n\0;=:0a f", "\r\n", "0\r\n", "ffffffff", "x: y\r\n", "\r\n "];
const bodies = mutated(SEEDS, SPLICES, 3);

/** Data, verdict, and where the body ended. */
type Outcome = readonly [data: string, verdict: string, left: number];
type Decode = (pieces: readonly string[]) => Outcome;

function decoding(pieces: readonly string[]): Outcome {
  decoder.reset(DEFAULT_HEAD_LIMITS);
  let data = "";
  let left = pieces.reduce((sum, piece) => sum + piece.length, 0);
  for (const piece of pieces) {
    const { start, end } = store.put(piece);
    let at = start;
    while (at < end) {
      const answer = decoder.decode(store.memory, at, end);
      if (answer === CHUNK_DATA) data += store.text(decoder.dataStart, decoder.dataEnd);
      else if (answer === CHUNK_END) return [data, "end", left - (decoder.next - start)];
      else if (answer < 0) return [data, "refused", 0];
      else break;
      at = decoder.next;
    }
    left -= piece.length;
  }
  return [data, "more", 0];
}

function alikeAtEverySplit(decode: Decode, text: string): void {
  const whole = decode([text]);
  for (let cut = 1; cut < text.length; cut++) {
    const [data, verdict, left] = decode([text.slice(0, cut), text.slice(cut)]);
    // Comparing by hand what is nearly always equal: vitest's own takes ten times as long as the decoder.
    const same = data === whole[0] && verdict === whole[1] && left === whole[2];
    if (!same) throw new Error(`cut at ${cut}: ${JSON.stringify([data, verdict, left])}, not ${JSON.stringify(whole)}`);
  }
}

it("a body is the same however it is cut", () => {
  fc.assert(
    fc.property(bodies, (text) => alikeAtEverySplit(decoding, text)),
    { numRuns: runs(1500) },
  );
});

it("canary: a decoder that forgets the line end it has seen half of is found", () => {
  const forgetful: Decode = (pieces) => decoding(pieces.map((piece) => piece.replace(/\r$/, "")));
  const outcome = fc.check(
    fc.property(bodies, (text) => alikeAtEverySplit(forgetful, text)),
    { numRuns: 200, seed: 1, endOnFailure: true },
  );
  expect(outcome.failed).toBe(true);
});
