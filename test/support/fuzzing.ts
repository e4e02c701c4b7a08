/**
 * How long fuzzers run: in `npm test` as long as each says, in `npm run fuzz` a multiple of it, from other beginnings each
 * time. And what they share: mutations, cuts, and the question whether a property would see a broken parser.
 */
import fc from "fast-check";
import { inspect } from "node:util";

const FACTOR = Number(process.env["PENSTOCK_FUZZ_FACTOR"] ?? "1");

/** Of what is `usual` within a few seconds. */
export function runs(usual: number): number {
  return Math.ceil(usual * FACTOR);
}

/** `usual`, so that every `npm test` does the same; in `npm run fuzz` any. */
export function seed(usual: number): number {
  return FACTOR === 1 ? usual : Math.floor(Math.random() * 0x7fff_ffff) + 1;
}

export interface Mutation {
  /** Where, in ten-thousandths of the text. `fc.double` would not do: nearly all of its values lie next to zero. */
  readonly at: number;
  readonly remove: number;
  readonly insert: string;
}

export const place = fc.nat(9999);

export function offsetIn(text: string, where: number): number {
  return Math.floor((where * (text.length + 1)) / 10_000);
}

/** One of `seeds` with a few pieces taken out and put in: of `splices`, or any byte. */
export function mutated(
  seeds: readonly string[],
  splices: readonly string[],
  mutationsMax: number,
): fc.Arbitrary<string> {
  const mutation: fc.Arbitrary<Mutation> = fc.record({
    at: place,
    remove: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 12 })),
    insert: fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...splices) },
      fc.constant(""),
      fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    ),
  });
  return fc
    .tuple(fc.constantFrom(...seeds), fc.array(mutation, { maxLength: mutationsMax }))
    .map(([text, mutations]) => mutate(text, mutations));
}

function mutate(whole: string, mutations: readonly Mutation[]): string {
  let text = whole;
  for (const { at, remove, insert } of mutations) {
    const offset = offsetIn(text, at);
    text = text.slice(0, offset) + insert + text.slice(offset + remove);
  }
  return text;
}

/** The same over bytes. */
export function mutatedBytes(
  seeds: readonly Uint8Array[],
  splices: readonly Uint8Array[],
  mutationsMax: number,
): fc.Arbitrary<Buffer> {
  const texts = (all: readonly Uint8Array[]): string[] => all.map((one) => Buffer.from(one).toString("latin1"));
  return mutated(texts(seeds), texts(splices), mutationsMax).map((text) => Buffer.from(text, "latin1"));
}

/**
 * What a reader makes of bytes that come in one piece, it makes of them in two, wherever they are cut, and byte by byte.
 * `read` is given them in order, and starts afresh each time.
 */
export function expectAlikeHoweverCut(read: (pieces: readonly Uint8Array[]) => unknown, bytes: Uint8Array): void {
  const whole = told(read([bytes]));
  const compare = (pieces: readonly Uint8Array[], how: string): void => {
    const found = told(read(pieces));
    if (found !== whole) throw new Error(`${how}: ${found}, and whole: ${whole}`);
  };
  for (let cut = 1; cut < bytes.length; cut++) compare([bytes.subarray(0, cut), bytes.subarray(cut)], `cut at ${cut}`);
  compare(
    Array.from(bytes, (byte) => Uint8Array.of(byte)),
    "byte by byte",
  );
}

/** As text, so that what is nearly always equal is compared in no time. */
function told(outcome: unknown): string {
  return inspect(outcome, { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity });
}

/** Whether a property finds something. From the same beginning in every run: for readers that are broken on purpose. */
export function finds<T>(inputs: fc.Arbitrary<T>, check: (input: T) => void, numRuns = 5000): boolean {
  return fc.check(fc.property(inputs, check), { numRuns, seed: 1, endOnFailure: true }).failed;
}
