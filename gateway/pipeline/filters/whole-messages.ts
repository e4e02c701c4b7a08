/**
 * `handleMessage`, `replaceMessage`, `handleStream`, `replaceStream`: a script sees messages, or the bytes of a stream, whole.
 * They are kept until then, up to a bound; what is longer ends the stream with TOO_LARGE, which a server answers 413.
 */
import type { Data } from "#pipeline/events/data.ts";
import { emit, type Emission } from "#pipeline/events/emit.ts";
import { TOO_LARGE, type Ending } from "#pipeline/events/ending.ts";
import { Message } from "#pipeline/events/messages.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { Collector, WHOLE_BYTES_MAX } from "./collector.ts";
import { ScriptFilter, type Handler } from "./script-filter.ts";

export interface WholeOptions {
  /** Of a body; 1 MiB where it is left out. */
  readonly bytesMax?: number;
}

/** With `replaces` the handler's answer goes on, else what it was given. */
export class WholeMessages<C extends object, H extends object> extends ScriptFilter<C> {
  readonly #handler: Handler<Message<H>, C, unknown>;
  readonly #replaces: boolean;
  readonly #body: Collector;
  #head: H | null = null;

  constructor(scope: Scope<C>, handler: Handler<Message<H>, C, unknown>, replaces: boolean, options: WholeOptions) {
    super(scope);
    this.#handler = handler;
    this.#replaces = replaces;
    this.#body = new Collector(options.bytesMax ?? WHOLE_BYTES_MAX);
  }

  override takeMessageStart(head: object): void {
    this.#head = head as H;
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.#head === null) this.output.data(buffer, start, end);
    else if (!this.#body.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override takeMessageEnd(tail: object | null): void {
    const head = this.#head;
    this.#head = null;
    if (head === null) return;
    const message = new Message(head, this.#body.take(), tail);
    this.answer(this.#handler, message, (answer) => {
      emit(this.#replaces ? (answer as Emission) : message, this.output, this.scope.runtime);
    });
  }
}

/** The same for all bytes of a stream, to its end. */
export class WholeStream<C extends object> extends ScriptFilter<C> {
  readonly #handler: Handler<Data, C, unknown>;
  readonly #replaces: boolean;
  readonly #bytes: Collector;

  constructor(scope: Scope<C>, handler: Handler<Data, C, unknown>, replaces: boolean, options: WholeOptions) {
    super(scope);
    this.#handler = handler;
    this.#replaces = replaces;
    this.#bytes = new Collector(options.bytesMax ?? WHOLE_BYTES_MAX);
  }

  override takeData(_buffer: number, start: number, end: number): void {
    if (!this.#bytes.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override takeStreamEnd(ending: Ending): void {
    const data = this.#bytes.take();
    this.answer(this.#handler, data, (answer) => {
      emit(this.#replaces ? (answer as Emission) : data, this.output, this.scope.runtime);
      this.output.streamEnd(ending);
    });
  }
}
