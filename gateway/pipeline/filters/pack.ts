/** `pack`: several messages become one, with the head of the first and all their bodies: so many, or what came in a time. */
import { Alarm } from "#net/alarm.ts";
import { writeBytes } from "#pipeline/events/emit.ts";
import { OVERLOADED, TOO_LARGE, type Ending } from "#pipeline/events/ending.ts";
import { withLength } from "#pipeline/events/length.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { Duration } from "#pipeline/library/duration.ts";
import { Collector, WHOLE_BYTES_MAX } from "./collector.ts";
import { PipeFilter } from "./pipe-filter.ts";

export interface PackOptions {
  /** The longest that a message waits for others; five seconds unless given. */
  readonly interval?: Duration;
  /** Of all bodies together; 1 MiB unless given. */
  readonly bytesMax?: number;
}

export class Pack<C extends object> extends PipeFilter<C> {
  readonly #size: number;
  readonly #intervalMs: number;
  readonly #body: Collector;
  readonly #alarm: Alarm;
  #head: object | null = null;
  #count = 0;
  #within = false;
  #due = false;

  constructor(scope: Scope<C>, size: number, intervalMs: number, bytesMax = WHOLE_BYTES_MAX) {
    super(scope);
    this.#size = size;
    this.#intervalMs = intervalMs;
    this.#body = new Collector(bytesMax);
    this.#alarm = new Alarm(scope.runtime.loop, () => this.#ring());
  }

  override messageStart(head: object): void {
    this.#within = true;
    if (this.#head !== null) return;
    this.#head = head;
    this.#alarm.set(this.#intervalMs);
  }

  override data(buffer: number, start: number, end: number): void {
    if (!this.#within) this.output.data(buffer, start, end);
    else if (!this.#body.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override messageEnd(): void {
    if (!this.#within) return;
    this.#within = false;
    if (++this.#count >= this.#size || this.#due) this.#send();
  }

  override streamEnd(ending: Ending): void {
    if (this.#count > 0) this.#send();
    this.#alarm.cancel();
    this.output.streamEnd(ending);
  }

  override dispose(): void {
    this.#alarm.cancel();
  }

  /** A message that is under way is waited for. */
  #ring(): void {
    if (this.#within) this.#due = true;
    else this.#send();
  }

  #send(): void {
    const head = this.#head ?? {};
    const body = this.#body.take().toBytes();
    this.#head = null;
    this.#count = 0;
    this.#due = false;
    this.#alarm.cancel();
    this.output.messageStart(withLength(head, body.length));
    if (body.length > 0 && !writeBytes(body, this.output, this.scope.runtime)) this.scope.break(OVERLOADED);
    else this.output.messageEnd(null);
  }
}
