/** `replace…`: what a script answers takes the place of single events; nothing, and the event is gone. */
import type { Data } from "#pipeline/events/data.ts";
import { emit, type Emission } from "#pipeline/events/emit.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { withoutLength } from "#pipeline/events/length.ts";
import { MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { FirstEvent } from "./handle-events.ts";
import { ScriptFilter, type Handler } from "./script-filter.ts";

export type Replacing<E, C extends object> = Handler<E, C, Emission>;

abstract class Replacer<C extends object> extends ScriptFilter<C> {
  protected readonly emitted = (answer: Emission): void => emit(answer, this.output, this.scope.runtime);
}

export class ReplaceMessageStart<C extends object, H extends object> extends Replacer<C> {
  readonly #handler: Replacing<MessageStart<H>, C>;

  constructor(scope: Scope<C>, handler: Replacing<MessageStart<H>, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    this.answer(this.#handler, new MessageStart(head as H), this.emitted);
  }
}

export class ReplaceMessageEnd<C extends object, T extends object> extends Replacer<C> {
  readonly #handler: Replacing<MessageEnd<T>, C>;

  constructor(scope: Scope<C>, handler: Replacing<MessageEnd<T>, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    this.output.messageStart(withoutLength(head));
  }

  override takeMessageEnd(tail: object | null): void {
    this.answer(this.#handler, new MessageEnd(tail as T | null), this.emitted);
  }
}

export class ReplaceData<C extends object> extends Replacer<C> {
  readonly #handler: Replacing<Data, C>;

  constructor(scope: Scope<C>, handler: Replacing<Data, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    this.output.messageStart(withoutLength(head));
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.answerData(this.#handler, buffer, start, end, this.emitted);
  }
}

export class ReplaceStreamEnd<C extends object> extends Replacer<C> {
  readonly #handler: Replacing<StreamEnd, C>;

  constructor(scope: Scope<C>, handler: Replacing<StreamEnd, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeStreamEnd(ending: Ending): void {
    this.answer(this.#handler, new StreamEnd(ending), this.emitted);
  }
}

export class ReplaceStreamStart<C extends object> extends Replacer<C> {
  readonly #handler: Replacing<FirstEvent, C>;
  #begun = false;

  constructor(scope: Scope<C>, handler: Replacing<FirstEvent, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    if (this.#begun) this.output.messageStart(head);
    else this.#first(new MessageStart(head));
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.#begun) {
      this.output.data(buffer, start, end);
      return;
    }
    this.#begun = true;
    this.answerData(this.#handler, buffer, start, end, this.emitted);
  }

  override takeMessageEnd(tail: object | null): void {
    if (this.#begun) this.output.messageEnd(tail);
    else this.#first(new MessageEnd(tail));
  }

  override takeStreamEnd(ending: Ending): void {
    if (this.#begun) this.output.streamEnd(ending);
    else this.#first(new StreamEnd(ending));
  }

  #first(event: FirstEvent): void {
    this.#begun = true;
    this.answer(this.#handler, event, this.emitted);
  }
}
