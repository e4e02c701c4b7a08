/**
 * Events as objects, for scripts alone: handlers are given them, and answer with them. Inside, events are method calls.
 * `H` is what a codec says in front of a message: `HttpHead` where HTTP is spoken.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import { Data } from "./data.ts";
import { ENDED, type Ending } from "./ending.ts";

export class MessageStart<H extends object = object> {
  readonly head: H;

  constructor(head: H) {
    this.head = head;
  }
}

export class MessageEnd<T extends object = object> {
  readonly tail: T | null;

  constructor(tail: T | null = null) {
    this.tail = tail;
  }
}

export class StreamEnd {
  readonly ending: Ending;

  constructor(ending: Ending = ENDED) {
    this.ending = ending;
  }

  /** Why, in a word; empty for an end in good order. */
  get error(): string {
    return this.ending.code;
  }
}

/**
 * A whole message. As a handler's answer it is `MessageStart`, `Data` and `MessageEnd` in one, of known length. Of text alone
 * it is one without a head of its own: as a response, 200.
 */
export class Message<H extends object = object, T extends object = object> {
  readonly head: H;
  readonly body: Data;
  readonly tail: T | null;

  constructor(body: Data | Uint8Array | string);
  constructor(head: H, body?: Data | Uint8Array | string, tail?: T | null);
  constructor(first: H | Data | Uint8Array | string, second?: Data | Uint8Array | string, tail: T | null = null) {
    const bare = typeof first === "string" || first instanceof Uint8Array || first instanceof Data;
    // What has no head of its own is given the empty one of HTTP: for who made it, any will do.
    this.head = bare ? ({ headers: {} } as unknown as H) : first;
    const body = (bare ? first : second) ?? "";
    this.body = body instanceof Data ? body : new Data(body);
    this.tail = tail;
  }

  get text(): string {
    return this.body.toString();
  }

  /** Throws PENSTOCK_PIPELINE_JSON, which names what is wrong with the text. */
  json(): unknown {
    try {
      return JSON.parse(this.text);
    } catch (cause) {
      throw pipelineError("PENSTOCK_PIPELINE_JSON", { detail: (cause as Error).message, cause });
    }
  }
}
