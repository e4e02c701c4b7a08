/** How a response head is to be encoded: one object for all, since it is read within the call it is passed to. */
import type { ResponseEncodeOptions } from "#http/h1/encode.ts";
import { FRAMING_NONE } from "#http/head.ts";

const options = { minor: 1, framing: FRAMING_NONE, keepAlive: true, appendStart: 0, appendEnd: 0, upgrade: false };

/** `minor`: HTTP/1.x of the client. Valid until the next call. */
export function responseOptions(
  minor: number,
  framing: number,
  keepAlive: boolean,
  upgrade: boolean,
): ResponseEncodeOptions {
  options.minor = minor;
  options.framing = framing;
  options.keepAlive = keepAlive;
  options.upgrade = upgrade;
  return options;
}
