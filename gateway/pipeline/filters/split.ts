/**
 * `split`: bytes become messages, cut at a separator, which goes. Within a message its body is cut, and every part has its
 * head; outside of one, the stream is. What stands behind the last separator is the last part, unless it is empty.
 */
import type { Ending } from "#pipeline/events/ending.ts";
import { TOO_LARGE } from "#pipeline/events/ending.ts";
import { withoutLength } from "#pipeline/events/length.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { WHOLE_BYTES_MAX } from "./collector.ts";
import { PipeFilter } from "./pipe-filter.ts";

export interface SplitOptions {
  /** Of a part; 1 MiB unless given. */
  readonly bytesMax?: number;
}

const NO_HEAD = {};

export class Split<C extends object> extends PipeFilter<C> {
  readonly #separator: Buffer;
  readonly #bytesMax: number;
  #head: object = NO_HEAD;
  /** Of the part that has begun; what may be the beginning of a separator among it. */
  #held: Buffer = Buffer.alloc(0);
  #over = false;

  /** `separator` has at least one byte. */
  constructor(scope: Scope<C>, separator: Buffer, { bytesMax = WHOLE_BYTES_MAX }: SplitOptions) {
    super(scope);
    this.#separator = separator;
    this.#bytesMax = bytesMax;
  }

  override messageStart(head: object): void {
    this.#head = withoutLength(head);
  }

  override data(_buffer: number, start: number, end: number): void {
    if (this.#over) return;
    const before = this.#held.length;
    const all = Buffer.concat([this.#held, this.memory.subarray(start, end)]);
    // Nothing before the held bytes' own end can be a separator, but one may have begun there.
    let from = 0;
    let search = Math.max(0, before - this.#separator.length + 1);
    for (;;) {
      const at = all.indexOf(this.#separator, search);
      if (at < 0) break;
      if (!this.#part(all.subarray(from, at))) return;
      from = at + this.#separator.length;
      search = from;
    }
    this.#held = Buffer.from(all.subarray(from));
    if (this.#held.length > this.#bytesMax) this.#refuse();
  }

  override messageEnd(): void {
    this.#last();
    this.#head = NO_HEAD;
  }

  override streamEnd(ending: Ending): void {
    if (this.#over) return;
    this.#last();
    this.output.streamEnd(ending);
  }

  #last(): void {
    const last = this.#held;
    this.#held = Buffer.alloc(0);
    if (last.length > 0) this.#part(last);
  }

  /** False: no more. */
  #part(bytes: Uint8Array): boolean {
    if (bytes.length > this.#bytesMax) {
      this.#refuse();
      return false;
    }
    this.output.messageStart(this.#head);
    if (bytes.length > 0 && !this.write(bytes)) this.#over = true;
    if (!this.#over) this.output.messageEnd(null);
    return !this.#over && !this.scope.ended;
  }

  #refuse(): void {
    this.#over = true;
    this.scope.break(TOO_LARGE);
  }
}
