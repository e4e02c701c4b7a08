/**
 * How a stream ends. A closed set of constants: `streamEnd` passes one of them along, who compares compares identity, and
 * nothing is allocated. What exactly happened is told to the log where it happened, never to the peer.
 *
 * `status` is what a server filter answers with when the stream ended in place of a response.
 */
export interface Ending {
  /** Stable, for logs and for scripts (`StreamEnd.error`); empty for an end in good order. */
  readonly code: string;
  readonly status: number;
  /** For the problem document. */
  readonly detail: string;
}

/** Made once, when a module is loaded. */
export function ending(code: string, status: number, detail: string): Ending {
  return { code, status, detail };
}

/** In good order. Where a response was due, there was none. */
export const ENDED = ending("", 502, "the stream ended without a response");
/** The same, and what may still come from the other side is not wanted: a server has sent its last answer. */
export const FINISHED = ending("finished", 502, "the stream ended without a response");
/** The other side has gone, or broke off in the middle of a message. */
export const RESET = ending("reset", 502, "the connection broke off");
export const NO_TARGET = ending("no-target", 404, "nothing here serves this request");
export const CONNECT_FAILED = ending("connect-failed", 502, "the target could not be connected to");
export const CONNECT_TIMEOUT = ending("connect-timeout", 504, "the target did not accept a connection in time");
export const IDLE_TIMEOUT = ending("idle-timeout", 504, "nothing came for too long");
export const UNTRUSTED = ending("untrusted", 502, "the peer's certificate was not accepted");
/** What was received is not what the codec reads. */
export const MALFORMED = ending("malformed", 400, "the message is malformed");
export const BAD_RESPONSE = ending("bad-response", 502, "the target's answer is malformed");
export const TOO_LARGE = ending("too-large", 413, "the message is longer than is allowed here");
export const REJECTED = ending("rejected", 429, "too much is asked for at present");
export const OVERLOADED = ending("overloaded", 503, "the gateway has no memory to spare");
/** A script threw; its error is in the log. */
export const SCRIPT_FAILED = ending("script", 500, "the script that handles this request failed");
/** The stream was given up before its time: nobody waits for it any more. */
export const ABANDONED = ending("abandoned", 500, "the stream was given up");
