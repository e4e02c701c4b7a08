/** Writes an exchange's request head to its upstream, with the field lines that say who asks. Pooled with its exchange. */
import type { RequestEncodeOptions } from "#http/h1/encode.ts";
import { FRAMING_CHUNKED, FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import type { UpstreamStream } from "#upstream/stream.ts";
import type { Workspace } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import { forwardedLines } from "./forwarded.ts";
import type { Forwarding } from "./forwarding.ts";

export class RequestWriter {
  readonly #workspace: Workspace;
  readonly #encode: RequestEncodeOptions = {
    dropForwarded: true,
    dropForwardedFor: false,
    appendStart: 0,
    appendEnd: 0,
    framing: FRAMING_NONE,
    upgrade: false,
    dropExpect: false,
  };

  constructor(workspace: Workspace) {
    this.#workspace = workspace;
  }

  /** `host`: as in forwarded.ts. False when the head does not fit into one buffer, or none is free. */
  send(
    request: Head,
    stream: DownstreamStream,
    host: string,
    forwarding: Forwarding,
    upstream: UpstreamStream,
  ): boolean {
    const encode = this.#encode;
    forwardedLines(stream, host, request, this.#workspace, forwarding, encode);
    encode.framing = framingOf(request);
    encode.upgrade = request.upgrade;
    // The gateway has answered it where a filter reads the body first.
    encode.dropExpect = !request.expectContinue;
    return upstream.sendHead(request, encode);
  }
}

/** Content of a known length goes on in chunks where trailers may follow it. */
function framingOf({ framing, contentLength, announcesTrailers }: Head): number {
  return framing === FRAMING_LENGTH && announcesTrailers && contentLength > 0 ? FRAMING_CHUNKED : framing;
}
