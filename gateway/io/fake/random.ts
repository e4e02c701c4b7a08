/** Numbers that look random and are a function of the seed alone, so that a run can be told again by one integer. */

export class Random {
  /** State of sfc32 (C. Doty-Humphrey, PractRand): three mixed words and a counter that keeps the period above 2³². */
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 0x1_0000_0000) | 0;
    this.#c = 0x9e37_79b9 | 0;
    // Neighbouring seeds begin alike: their words differ in a few bits until these rounds have mixed them.
    for (let i = 0; i < 12; i++) this.#next();
  }

  /** A fraction in [0, 1). */
  fraction(): number {
    return (this.#next() >>> 0) / 0x1_0000_0000;
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }

  /** True so often. An impossible event takes no number from the sequence: switching one kind of fault off leaves the others. */
  chance(probability: number): boolean {
    return probability > 0 && this.fraction() < probability;
  }

  /** A whole number in [1, most], and often a small one: boundaries lie near the beginning of things. */
  upTo(most: number): number {
    return 1 + this.below(this.chance(0.5) ? Math.min(most, 16) : most);
  }

  #next(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    this.#c |= 0;
    return result;
  }
}
