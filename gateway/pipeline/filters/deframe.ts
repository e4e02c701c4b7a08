/**
 * `deframe`: a script's generator reads a binary protocol as if it had all of it. It yields how many bytes it wants next and
 * is given them, or yields what goes on in their place:
 *
 *     .deframe(function* () {
 *       for (;;) {
 *         const length = yield 4
 *         yield new Message({}, yield length.readUInt32BE(0))
 *       }
 *     })
 *
 * When it returns, what is left of the stream passes as it is. It is run where the bytes come in: never ahead of them.
 */
import { emit, type Emission } from "#pipeline/events/emit.ts";
import { ENDED, MALFORMED, TOO_LARGE, type Ending } from "#pipeline/events/ending.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { WHOLE_BYTES_MAX } from "./collector.ts";
import { PipeFilter } from "./pipe-filter.ts";

/** Yields a number of bytes, or an event. It is given a copy of the bytes, or nothing. */
export type Deframer<C extends object> = (
  context: Context<C>,
) => Generator<number | Exclude<Emission, void>, void, Buffer>;

export interface DeframeOptions {
  /** At one time; 1 MiB unless given. */
  readonly bytesMax?: number;
}

const NOTHING = Buffer.alloc(0);

export class Deframe<C extends object> extends PipeFilter<C> {
  readonly #deframer: Deframer<C>;
  readonly #bytesMax: number;
  #running: Generator<number | Exclude<Emission, void>, void, Buffer> | null = null;
  /** What has been asked for; −1: the generator has returned, or failed. */
  #wanted = 0;
  #room: Buffer = NOTHING;
  #filled = 0;

  constructor(scope: Scope<C>, deframer: Deframer<C>, { bytesMax = WHOLE_BYTES_MAX }: DeframeOptions) {
    super(scope);
    this.#deframer = deframer;
    this.#bytesMax = bytesMax;
  }

  override data(buffer: number, start: number, end: number): void {
    if (this.#running === null) this.#begin();
    let at = start;
    while (at < end && this.#wanted > 0) {
      const part = this.memory.subarray(at, Math.min(end, at + this.#wanted - this.#filled));
      this.#room.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#wanted) this.#go(this.#room);
    }
    if (at < end) this.output.data(buffer, at, end);
  }

  override streamEnd(ending: Ending): void {
    const cut = this.#wanted > 0 && this.#filled > 0;
    this.#wanted = -1;
    this.output.streamEnd(cut && ending === ENDED ? MALFORMED : ending);
  }

  override dispose(): void {
    this.#running?.return();
  }

  #begin(): void {
    try {
      this.#running = this.#deframer(this.scope.context);
    } catch (error) {
      return this.#failed(error);
    }
    this.#go(NOTHING);
  }

  /** Hands over what was asked for, and runs on until it asks for more. */
  #go(given: Buffer): void {
    this.#wanted = -1;
    try {
      for (;;) {
        const step = this.#running?.next(given);
        if (step === undefined || step.done === true) return;
        given = NOTHING;
        if (typeof step.value !== "number") emit(step.value, this.output, this.scope.runtime);
        else if (step.value !== 0) return this.#want(step.value);
        if (this.scope.ended) return;
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #want(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw new RangeError(`${bytes} is no number of bytes`);
    if (bytes > this.#bytesMax) return this.scope.break(TOO_LARGE);
    this.#wanted = bytes;
    this.#filled = 0;
    this.#room = Buffer.alloc(bytes);
  }

  #failed(error: unknown): void {
    this.#wanted = -1;
    this.scope.fail(error);
  }
}
