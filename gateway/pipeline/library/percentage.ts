/**
 * Chooses among values by their shares: one in ten to the canary.
 *
 *     const version = new Percentage({ stable: 90, canary: 10 })
 *     version.next()                       // by lot
 *     version.next(msg.head.headers.cookie)    // the same for the same key, in every worker and after a restart
 *
 * Shares are weights and need not add up to a hundred.
 */
import { hashText } from "#core/hash.ts";
import { libraryError } from "#core/errors/library.ts";

const HASHES = 2 ** 32;

export class Percentage<N extends string = string> {
  readonly #names: readonly N[];
  /** Sums of the shares up to and with each name, of 1. */
  readonly #ends: readonly number[];
  readonly #random: () => number;

  /** Throws PENSTOCK_LIBRARY_OPTION. `random`: from 0 up to 1. */
  constructor(shares: Readonly<Record<N, number>>, random: () => number = Math.random) {
    const entries = (Object.entries(shares) as [N, number][]).filter(([, share]) => share !== 0);
    const whole = entries.reduce((sum, [, share]) => sum + share, 0);
    if (entries.some(([, share]) => !(share > 0)) || !(whole > 0) || !Number.isFinite(whole)) {
      const detail = `the shares are ${JSON.stringify(shares)}: numbers from 0 up, at least one above 0`;
      throw libraryError("PENSTOCK_LIBRARY_OPTION", { detail });
    }
    let sum = 0;
    this.#names = entries.map(([name]) => name);
    this.#ends = entries.map(([, share]) => (sum += share) / whole);
    this.#random = random;
  }

  next(key?: string): N {
    const at = key === undefined ? this.#random() : hashText(key) / HASHES;
    const index = this.#ends.findIndex((end) => at < end);
    return this.#names.at(index) as N;
  }
}
