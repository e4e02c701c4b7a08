/**
 * Filters of whole streams: asked when a TCP connection or a UDP session begins, and, where they want it, given its bytes. Like
 * filters of requests, one object serves a route position in one worker, and lives as long as an engine uses it.
 */
import type { TlsPeer } from "#net/tls/peer.ts";

/** A stream that begins, as its filters see it. */
export interface OpeningStream {
  /** `tls`: passed through, so what is seen of it is ciphertext. TLS that ends here is `tcp`. */
  readonly protocol: "tcp" | "udp" | "tls";
  /** 16 bytes, IPv4 mapped. */
  readonly clientIp: Uint8Array;
  /** What TLS that ends here has settled with the client; null: it does not. */
  readonly tls: TlsPeer | null;
  /** 0: of a Unix socket there is none. */
  readonly clientPort: number;
  /** Of the ClientHello; empty: none. */
  readonly serverName: string;
  /** Where a steered client wanted to go, `address:port`; empty: to the listener. */
  readonly originalDestination: string;
  readonly routeName: string;
  /**
   * Until it is connected: it goes to this upstream of the snapshot in force, and there to this endpoint, if one is named. False:
   * there is no such one.
   */
  routeTo(upstream: string, endpoint: string): boolean;
}

export const FROM_CLIENT = 0;
export const FROM_UPSTREAM = 1;

/** What becomes of bytes: they pass as they are, or the stream ends; else what is answered goes in their place. */
export const PASS = 0;
export const CLOSE = 1;
/**
 * Of a direction's last bytes: nothing passes, and the end waits, until the tap ends the direction by its line. Of a datagram: it waits,
 * until the tap sends it.
 */
export const HOLD = 2;
export type TapVerdict = 0 | 1 | 2 | Uint8Array;

/** What a tap may do to a stream outside of a call of `data`. */
export interface StreamLine {
  /** Bytes go on in this direction, through the taps that come later. Of UDP: one datagram. */
  send(direction: 0 | 1, bytes: Uint8Array): void;
  /** The direction's end, which waited, goes on. UDP has none. */
  end(direction: 0 | 1): void;
  /**
   * Nothing more of this direction can be taken, until `resume`: once for each `pause`. What is on its way already still comes, at most one
   * batch of receives (256 KiB). Datagrams come as they come.
   */
  pause(direction: 0 | 1): void;
  resume(direction: 0 | 1): void;
  close(): void;
}

/** How a stream has ended, and what it has carried. */
export interface StreamEnd {
  readonly outcome: string;
  readonly durationMs: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  /** `address:port`; empty: none was connected. */
  readonly endpoint: string;
}

/** One stream of a filter that looks at its bytes, or wants to know how it ends. */
export interface StreamTap {
  /** [start, end) of `memory`, for the call. `last`: the direction's end has come, with no bytes or with its last ones. */
  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict;
  /** The bytes begin to move. */
  attached?(line: StreamLine): void;
  /** The last call, once. */
  closed(end: StreamEnd): void;
}

/** A filter that waits for something before it decides about a stream. */
export interface PendingAdmission {
  /** Called once, in a later turn, with whether the stream is admitted. Set by who has asked. */
  onDecided: ((admitted: boolean) => void) | null;
  /** The stream is gone: nobody wants to know any more. */
  abandon(): void;
}

export interface StreamFilter {
  /** For logs and `explain`. */
  readonly name: string;
  /** False: the stream is refused. */
  admits(stream: OpeningStream): boolean | PendingAdmission;
  /** After it has admitted one. Absent, or null: neither its bytes nor its end are of interest. */
  tap?(stream: OpeningStream): StreamTap | null;
}
