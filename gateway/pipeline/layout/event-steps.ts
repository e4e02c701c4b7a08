/** Steps that let a script see, and change, events. A handler gets the event and the context; a promise makes the stream wait. */
import type { Data } from "#pipeline/events/data.ts";
import type { Emission } from "#pipeline/events/emit.ts";
import type { Message, MessageEnd, MessageStart, StreamEnd } from "#pipeline/events/messages.ts";
import {
  HandleData,
  HandleMessageEnd,
  HandleMessageStart,
  HandleStreamEnd,
  HandleStreamStart,
  type FirstEvent,
  type Seeing,
} from "#pipeline/filters/handle-events.ts";
import {
  ReplaceData,
  ReplaceMessageEnd,
  ReplaceMessageStart,
  ReplaceStreamEnd,
  ReplaceStreamStart,
  type Replacing,
} from "#pipeline/filters/replace-events.ts";
import { WholeMessages, WholeStream, type WholeOptions } from "#pipeline/filters/whole-messages.ts";
import type { HttpHead } from "#pipeline/http/http-head.ts";
import { Steps } from "./steps.ts";

/** What an event is replaced by: always the same, or what a handler answers. */
type Replacement<E, C extends object> = Replacing<E, C> | Exclude<Emission, ((...args: never[]) => unknown) | void>;

export abstract class EventSteps<C extends object> extends Steps<C> {
  handleMessageStart<H extends object = HttpHead>(handler: Seeing<MessageStart<H>, C>): this {
    return this.use((scope) => new HandleMessageStart(scope, handler));
  }

  handleMessageEnd<T extends object = object>(handler: Seeing<MessageEnd<T>, C>): this {
    return this.use((scope) => new HandleMessageEnd(scope, handler));
  }

  /** The whole message, when it has come; up to `bytesMax` of its body (1 MiB). */
  handleMessage<H extends object = HttpHead>(handler: Seeing<Message<H>, C>, options: WholeOptions = {}): this {
    return this.use((scope) => new WholeMessages(scope, handler, false, options));
  }

  /** Each piece of bytes as it comes: where it is cut means nothing. */
  handleData(handler: Seeing<Data, C>): this {
    return this.use((scope) => new HandleData(scope, handler));
  }

  /** All bytes of the stream, at its end. */
  handleStream(handler: Seeing<Data, C>, options: WholeOptions = {}): this {
    return this.use((scope) => new WholeStream(scope, handler, false, options));
  }

  handleStreamStart(handler: Seeing<FirstEvent, C>): this {
    return this.use((scope) => new HandleStreamStart(scope, handler));
  }

  handleStreamEnd(handler: Seeing<StreamEnd, C>): this {
    return this.use((scope) => new HandleStreamEnd(scope, handler));
  }

  replaceMessageStart<H extends object = HttpHead>(by?: Replacement<MessageStart<H>, C>): this {
    const handler = handlerOf(by);
    return this.use((scope) => new ReplaceMessageStart(scope, handler));
  }

  replaceMessageEnd<T extends object = object>(by?: Replacement<MessageEnd<T>, C>): this {
    const handler = handlerOf(by);
    return this.use((scope) => new ReplaceMessageEnd(scope, handler));
  }

  /** The whole message; see `handleMessage`. */
  replaceMessage<H extends object = HttpHead>(by?: Replacement<Message<H>, C>, options: WholeOptions = {}): this {
    const handler = handlerOf(by);
    return this.use((scope) => new WholeMessages(scope, handler, true, options));
  }

  replaceData(by?: Replacement<Data, C>): this {
    const handler = handlerOf(by);
    return this.use((scope) => new ReplaceData(scope, handler));
  }

  replaceStream(by?: Replacement<Data, C>, options: WholeOptions = {}): this {
    const handler = handlerOf(by);
    return this.use((scope) => new WholeStream(scope, handler, true, options));
  }

  replaceStreamStart(by?: Replacement<FirstEvent, C>): this {
    const handler = handlerOf(by);
    return this.use((scope) => new ReplaceStreamStart(scope, handler));
  }

  replaceStreamEnd(by?: Replacement<StreamEnd, C>): this {
    const handler = handlerOf(by);
    return this.use((scope) => new ReplaceStreamEnd(scope, handler));
  }
}

function handlerOf<E, C extends object>(by: Replacement<E, C> | undefined): Replacing<E, C> {
  return typeof by === "function" ? by : () => by;
}
