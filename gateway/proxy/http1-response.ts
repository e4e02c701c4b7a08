/** Responses of HTTP/1 written to a client's connection: heads, informational ones, and which framing a body gets. */
import { encodeResponseHead } from "#http/h1/encode.ts";
import { beginsTunnel, FRAMING_CHUNKED, FRAMING_CLOSE, FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { HIGH_WATERMARK_BYTES, type Connection } from "#net/connection.ts";
import { responseOptions } from "./response-options.ts";

/** How the body of a response goes on to a client of HTTP/1.`minor`, which may not know chunks. */
export function framingFor({ framing, announcesTrailers }: Head, minor: number): number {
  if (framing === FRAMING_LENGTH) return announcesTrailers && minor === 1 ? FRAMING_CHUNKED : FRAMING_LENGTH;
  if (framing === FRAMING_NONE) return FRAMING_NONE;
  return minor === 1 ? FRAMING_CHUNKED : FRAMING_CLOSE;
}

/**
 * False when the head does not fit into one buffer, or none is free. `method`: METHOD_* of the request. Behind the head of a tunnel there
 * are no messages that the connection would be kept for.
 */
export function writeResponseHead(
  connection: Connection,
  head: Head,
  method: number,
  minor: number,
  framing: number,
  keepAlive: boolean,
): boolean {
  const options = beginsTunnel(head.status, method)
    ? responseOptions(1, FRAMING_NONE, true, head.status === 101)
    : responseOptions(minor, framing, keepAlive, false);
  let at = connection.reserve(head.end - head.start + 256);
  if (at < 0) return false;
  let end = encodeResponseHead(head, at, connection.reservedEnd, options);
  if (end < 0) {
    connection.flush();
    at = connection.reserve(BUFFER_BYTES);
    if (at < 0) return false;
    end = encodeResponseHead(head, at, connection.reservedEnd, options);
    if (end < 0) return false;
  }
  connection.commit(end);
  return true;
}

/** A 1xx: nobody must have it, and nothing else bounds how many an upstream sends, so a slow reader gets none. */
export function writeInformational(connection: Connection, head: Head, minor: number): void {
  if (connection.queuedBytes > HIGH_WATERMARK_BYTES) return;
  const at = connection.reserve(head.end - head.start + 1024);
  if (at < 0) return;
  const end = encodeResponseHead(head, at, connection.reservedEnd, responseOptions(minor, FRAMING_NONE, true, false));
  if (end > 0) connection.commit(end);
  connection.flush();
}
