import { random } from "penstock:plugin/time@1.0.0";

/** Until the seed's bits have reached all of the state. */
const MIXING_ROUNDS = 12;

/**
 * Called by the entry file in each guest: the engine was started when the plugin was built, and its own `Math.random` would begin
 * alike in all of them. Small fast counter (sfc32) from 128 bits of the gateway's chance; for secrets there is `randomBytes`.
 */
export function seedChance(): void {
  const seed = random(16);
  const word = (at: number): number =>
    (seed[at] ?? 0) | ((seed[at + 1] ?? 0) << 8) | ((seed[at + 2] ?? 0) << 16) | ((seed[at + 3] ?? 0) << 24);
  let [a, b, c, counter] = [word(0), word(4), word(8), word(12)];
  Math.random = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let round = 0; round < MIXING_ROUNDS; round++) Math.random();
}
