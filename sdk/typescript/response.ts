import * as http from "penstock:plugin/http@1.0.0";
import { Headers } from "./headers.ts";

/** What a hook decides. */
export const Action = {
  /** On to the next filter, or to the upstream. */
  Continue: "continue",
  /** The reply made by `respond` goes back to the client. */
  Reply: "reply",
  /** Not yet: a hook of the body will decide, and may still change the head; of a body or data, more must come first. */
  Pause: "pause",
} as const;
export type Action = (typeof Action)[keyof typeof Action];

export class Response extends Headers {
  constructor() {
    super("response");
  }

  get status(): number {
    return http.status();
  }

  /** 200–599. False: refused, since content would come or go (204, 304). */
  setStatus(status: number): boolean {
    return http.setStatus(status);
  }
}

/** A header of the reply that the next `respond` makes. False: refused. */
export function replyHeader(name: string, value: string): boolean {
  return http.replyHeader(name, value);
}

/** Makes the reply; the hook returns what this returns. */
export function respond(status: number, body: string | Uint8Array = ""): Action {
  if (typeof body === "string") http.replyText(status, body);
  else http.reply(status, body);
  return Action.Reply;
}
