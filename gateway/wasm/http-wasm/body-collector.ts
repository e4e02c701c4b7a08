/** One body, taken whole before the guest is asked; what goes on then is what the guest has made of it, or the body itself. */
import { defined } from "#core/assert.ts";
import type { BodyLink, BodyStage, Trailing } from "#pipeline/body.ts";
import { BODY_BYTES_MAX } from "./calls/bodies.ts";

const WRITE_BYTES = 64 * 1024;

export class BodyCollector implements BodyStage {
  readonly #tooLong: number;
  readonly #whole: (body: Uint8Array, trailing: Trailing) => void;
  #link: BodyLink | null = null;
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #out: Uint8Array | null = null;
  #over = false;

  /** `tooLong`: the status for a body beyond the bound. `whole` is called once, with a body of its own; its trailers can be changed until it is released. */
  constructor(tooLong: number, whole: (body: Uint8Array, trailing: Trailing) => void) {
    this.#tooLong = tooLong;
    this.#whole = whole;
  }

  get holds(): boolean {
    return this.#out === null;
  }

  attach(link: BodyLink): void {
    this.#link = link;
  }

  get #to(): BodyLink {
    return defined(this.#link, "a stage that is attached");
  }

  data(_buffer: number, start: number, end: number): void {
    if (this.#over) return;
    this.#bytes += end - start;
    if (this.#bytes > BODY_BYTES_MAX) {
      this.#over = true;
      this.#to.fail(this.#tooLong, "body-too-long", `a plugin reads at most ${BODY_BYTES_MAX} bytes of a body`);
      return;
    }
    this.#parts.push(this.#to.memory.slice(start, end));
  }

  end(): void {
    if (!this.#over) this.#whole(Buffer.concat(this.#parts), this.#to);
  }

  /** `body` goes on. Owns it from here on. */
  release(body: Uint8Array): void {
    this.#out = body;
    this.#parts = [];
    this.drained();
  }

  drained(): void {
    while (this.#out !== null && !this.#over && !this.#to.full) {
      const piece = this.#out.subarray(0, WRITE_BYTES);
      this.#out = this.#out.subarray(piece.length);
      if (piece.length > 0) this.#to.write(piece);
      if (this.#out.length > 0) continue;
      this.#over = true;
      this.#to.end();
    }
  }

  dispose(): void {
    this.#over = true;
    this.#parts = [];
    this.#out = null;
  }
}
