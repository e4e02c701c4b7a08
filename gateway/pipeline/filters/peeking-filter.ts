/**
 * Filters that look at the first bytes of a stream before any of it goes on, and decide something by them. What was looked
 * at passes unchanged. Bounded: at `bytesMax` the decision is made with what is there.
 */
import type { Ending } from "#pipeline/events/ending.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { ScriptFilter } from "./script-filter.ts";

export abstract class PeekingFilter<C extends object> extends ScriptFilter<C> {
  readonly #bytesMax: number;
  #seen: Uint8Array | null = null;
  #decided = false;

  constructor(scope: Scope<C>, bytesMax: number) {
    super(scope);
    this.#bytesMax = bytesMax;
  }

  override started(): void {
    this.hold();
  }

  override data(buffer: number, start: number, end: number): void {
    if (!this.#decided) this.#look(start, end);
    super.data(buffer, start, end);
  }

  override streamEnd(ending: Ending): void {
    if (!this.#decided) this.#decide(this.#seen ?? new Uint8Array(0), true);
    super.streamEnd(ending);
  }

  /** All bytes so far. False: not enough to tell, unless `last`. What it decides may hold the stream further. */
  protected abstract look(bytes: Uint8Array, last: boolean): boolean;

  #look(start: number, end: number): void {
    const fresh = this.memory.subarray(start, end);
    const bytes = this.#seen === null ? fresh : Buffer.concat([this.#seen, fresh]);
    const enough = this.#decide(bytes, bytes.length >= this.#bytesMax);
    this.#seen = enough ? null : bytes.slice();
  }

  #decide(bytes: Uint8Array, last: boolean): boolean {
    if (!this.look(bytes, last)) return false;
    this.#decided = true;
    this.release();
    return true;
  }
}
