/**
 * Filters of whole streams: asked once, when a TCP connection or a UDP session begins. Like filters of requests, one object
 * serves a route position in one worker, and lives as long as an engine uses it.
 */

/** A stream that begins, as its filters see it. */
export interface OpeningStream {
  /** 16 bytes, IPv4 mapped. */
  readonly clientIp: Uint8Array;
}

export interface StreamFilter {
  /** For logs and `explain`. */
  readonly name: string;
  /** False: the stream is refused. */
  admits(stream: OpeningStream): boolean;
}
