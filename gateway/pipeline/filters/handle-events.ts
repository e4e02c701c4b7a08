/** `handle…`: a script looks at single events as they pass, and may make them wait. What it changes, it changes in the event. */
import type { Data } from "#pipeline/events/data.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { FAILED, ScriptFilter, type Handler } from "./script-filter.ts";

export type Seeing<E, C extends object> = Handler<E, C, unknown>;

export class HandleMessageStart<C extends object, H extends object> extends ScriptFilter<C> {
  readonly #handler: Seeing<MessageStart<H>, C>;

  constructor(scope: Scope<C>, handler: Seeing<MessageStart<H>, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    const answer = this.call(this.#handler, new MessageStart(head as H));
    if (answer === FAILED) return;
    if (answer instanceof Promise) this.waitFor(answer, () => this.output.messageStart(head));
    else this.output.messageStart(head);
  }
}

export class HandleMessageEnd<C extends object, T extends object> extends ScriptFilter<C> {
  readonly #handler: Seeing<MessageEnd<T>, C>;

  constructor(scope: Scope<C>, handler: Seeing<MessageEnd<T>, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageEnd(tail: object | null): void {
    this.answer(this.#handler, new MessageEnd(tail as T | null), () => this.output.messageEnd(tail));
  }
}

export class HandleData<C extends object> extends ScriptFilter<C> {
  readonly #handler: Seeing<Data, C>;

  constructor(scope: Scope<C>, handler: Seeing<Data, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.answerData(this.#handler, buffer, start, end, () => this.output.data(buffer, start, end));
  }
}

export class HandleStreamEnd<C extends object> extends ScriptFilter<C> {
  readonly #handler: Seeing<StreamEnd, C>;

  constructor(scope: Scope<C>, handler: Seeing<StreamEnd, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeStreamEnd(ending: Ending): void {
    this.answer(this.#handler, new StreamEnd(ending), () => this.output.streamEnd(ending));
  }
}

/** What a stream begins with: a message, bytes, or its end. */
export type FirstEvent = MessageStart | Data | MessageEnd | StreamEnd;

export class HandleStreamStart<C extends object> extends ScriptFilter<C> {
  readonly #handler: Seeing<FirstEvent, C>;
  #begun = false;

  constructor(scope: Scope<C>, handler: Seeing<FirstEvent, C>) {
    super(scope);
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    this.#first(new MessageStart(head), () => this.output.messageStart(head));
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.#begun) this.output.data(buffer, start, end);
    else {
      this.#begun = true;
      this.answerData(this.#handler, buffer, start, end, () => this.output.data(buffer, start, end));
    }
  }

  override takeMessageEnd(tail: object | null): void {
    this.#first(new MessageEnd(tail), () => this.output.messageEnd(tail));
  }

  override takeStreamEnd(ending: Ending): void {
    this.#first(new StreamEnd(ending), () => this.output.streamEnd(ending));
  }

  #first(event: FirstEvent, pass: () => void): void {
    if (this.#begun) {
      pass();
      return;
    }
    this.#begun = true;
    this.answer(this.#handler, event, pass);
  }
}
