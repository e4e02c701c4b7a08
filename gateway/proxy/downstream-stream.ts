/**
 * The client's side of one exchange, whatever protocol carries it. A connection may carry one (HTTP/1.1) or many; an
 * exchange never sees the connection.
 */
import type { Head } from "#http/head.ts";
import type { Connection } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";
import type { TlsPeer } from "#net/tls/peer.ts";
import type { ListenerContext } from "./context.ts";

export interface DownstreamStream {
  /** The client's IP as text; empty for a Unix socket. */
  readonly client: string;
  /** Who has connected, or on whose behalf a proxy in front has: struct sockaddr. */
  readonly address: Uint8Array;
  /** Where the client believes to be connected to: struct sockaddr. A system call, for who wants to know. */
  readonly destination: Uint8Array;
  readonly listener: ListenerContext;
  /** What TLS has settled with the client; null on a plain connection. */
  readonly tls: TlsPeer | null;
  /** 0 for an HTTP/1.0 client, else 1. */
  readonly requestMinor: number;
  /** True when the client's own forwarding fields are to be believed. */
  readonly trusted: boolean;
  /** Where a steered client wanted to go: `198.51.100.7:80`, or null. */
  readonly originalAddress: string | null;
  /** Bytes written that the client has not taken. */
  readonly queuedBytes: number;

  /** A 1xx response other than 101. */
  sendInformational(head: Head): void;
  /** Writes the head, for a body of `framing` FRAMING_*. False when it does not fit, or no buffer is free. */
  sendHead(head: Head): boolean;
  sendData(buffer: number, start: number, end: number): void;
  sendEnd(trailers: Head | null): void;
  /** The exchange takes the request's body from here on (or again). */
  resumeRequest(): void;
  pauseRequest(): void;
  /** Nothing sensible can follow what was sent: ends the stream as the protocol can. */
  abort(): void;
  /** The exchange is over, its objects are free again: the last call. `clean`: the response was delivered whole. */
  finished(clean: boolean): void;
  /** A tunnel begins: hands the connection over, with what the client sent behind its head. `left` is called when it is closed. */
  release(): { connection: Connection; held: HeldRegions; left(): void };
}
