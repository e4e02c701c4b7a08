/** One exchange with an endpoint as the proxy sees it, whatever protocol carries it. */
import type { RequestEncodeOptions } from "#http/h1/encode.ts";
import type { Head } from "#http/head.ts";
import type { Connection } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";
import type { Broken } from "./broken.ts";

export interface UpstreamTimeouts {
  readonly connectMs: number;
  /** From the request's last byte sent, or the response's last byte received, to the next byte of the response. */
  readonly requestMs: number;
  /** How long an unused connection is kept. */
  readonly idleMs: number;
}

/** What an exchange hears of its upstream. All calls come within a turn, or within a call of the exchange's own. */
export interface ResponseSink {
  /** Where the response head is parsed to. */
  readonly response: Head;
  /** METHOD_* of the request as sent: HEAD and CONNECT change what a response means. */
  readonly requestMethod: number;
  onConnected(): void;
  /** An errno; ETIMEDOUT when `connectMs` passed. */
  onConnectFailed(error: number): void;
  /** A 1xx other than 101; `response` is valid for the call. */
  onInformational(): void;
  /** `response` is parsed; its bytes are in `buffer`, valid for the call unless retained. */
  onResponseHead(buffer: number): void;
  onResponseData(buffer: number, start: number, end: number): void;
  onResponseEnd(trailers: Head | null): void;
  onUpstreamBroken(reason: Broken): void;
  onUpstreamDrained(): void;
}

export interface UpstreamStream {
  /** Exchanges the connection has served before: a failure on a used one may only mean that it was idle too long. */
  readonly served: number;
  /** Bytes written that the endpoint has not taken. */
  readonly queuedBytes: number;
  /** Takes an idle connection into service. */
  begin(sink: ResponseSink, timeouts: UpstreamTimeouts): void;
  /** Writes the head. False when it does not fit into one buffer, or none is free. */
  sendHead(head: Head, options: RequestEncodeOptions): boolean;
  sendData(buffer: number, start: number, end: number): void;
  sendEnd(trailers: Head | null): void;
  /** Stops reading the response until `resume`: the client is too slow. */
  pause(): void;
  resume(): void;
  /** Within `onResponseHead`: keeps everything behind the head until `unblock`. */
  block(): void;
  unblock(): void;
  /** The exchange is over before its time: closes without a word. */
  discard(): void;
  /** A tunnel begins: hands the connection over. */
  release(): ReleasedUpstream;
}

export interface ReleasedUpstream {
  readonly connection: Connection;
  /** What the endpoint sent behind its head. */
  readonly held: HeldRegions;
  /** To be called when it is closed: until then it is one of the endpoint's, whose limits count it. */
  left(): void;
}
