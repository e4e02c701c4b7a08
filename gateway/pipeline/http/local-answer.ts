/** What a server filter answers by itself: a problem document (RFC 9457), as bytes. */
import { encodeLocalReply } from "#http/h1/encode.ts";
import { reasonPhrase } from "#http/reason-phrases.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { bufferBytes, type Runtime } from "#pipeline/runtime.ts";

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

const HEADERS = [["content-type", "application/problem+json"]] as const;

/** `withBody`: false for HEAD. False when there is no memory for it. */
export function answerProblem(
  problem: Problem,
  sink: Sink,
  runtime: Runtime,
  keepAlive: boolean,
  minor: number,
  withBody: boolean,
): boolean {
  const { status, code, detail } = problem;
  const document = { type: `urn:penstock:problem:${code}`, title: reasonPhrase(status), status, code, detail };
  const body = Buffer.from(`${JSON.stringify(document)}\n`);
  const { buffers } = runtime;
  const buffer = buffers.allocate();
  if (buffer < 0) return false;
  const room = bufferBytes(buffers);
  const at = buffer * room;
  const end = encodeLocalReply(
    buffers.memory,
    at,
    at + room,
    status,
    HEADERS,
    body.length,
    keepAlive,
    runtime.date.line,
    minor,
  );
  if (withBody) buffers.memory.set(body, end);
  sink.data(buffer, at, withBody ? end + body.length : end);
  buffers.release(buffer);
  return true;
}

const CONTINUE = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

/** To a client that keeps its body back until it is asked for it (RFC 9110 section 10.1.1). */
export function answerContinue(sink: Sink, { buffers }: Runtime): void {
  const buffer = buffers.allocate();
  if (buffer < 0) return;
  const at = buffer * bufferBytes(buffers);
  buffers.memory.set(CONTINUE, at);
  sink.data(buffer, at, at + CONTINUE.length);
  buffers.release(buffer);
}
