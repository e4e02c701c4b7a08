/**
 * How long fuzzers run: in `npm test` as long as each says, in `npm run fuzz` a multiple of it, from other beginnings each
 * time. And the mutations they share.
 */
import fc from "fast-check";

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
