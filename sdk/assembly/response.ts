// The response, and local replies.
import { Headers } from "./headers";
import { get_status, reply, reply_header, set_status } from "./host";
import { idOf } from "./names";
import { Bytes, encode, encoded, encodedLength } from "./text";

/** What a hook decides. */
export enum Action {
  /** On to the next filter, or to the upstream. */
  Continue = 0,
  /** The reply made by `respond` goes back to the client. */
  Reply = 1,
  /** Not yet: a hook of the body will decide, and may still change the head; of a body or data, more must come first. */
  Pause = 2,
}

export class Response extends Headers {
  constructor() {
    super(1);
  }

  get status(): i32 {
    return get_status();
  }

  /** 200–599. False: refused, since content would come or go (204, 304). */
  setStatus(status: i32): bool {
    return set_status(status) == 1;
  }
}

/** A header of the reply that the next `respond` makes. False: refused. */
export function replyHeader(name: string, value: string): bool {
  const id = idOf(name);
  encode(value);
  return reply_header(id, encoded, encodedLength) == 1;
}

/** Makes the reply; the hook returns what this returns. */
export function respond(status: i32, body: string = ""): Action {
  encode(body);
  reply(status, encoded, encodedLength);
  return Action.Reply;
}

/** The same without a string. */
export function respondBytes(status: i32, body: Bytes): Action {
  reply(status, body.pointer, body.length);
  return Action.Reply;
}
