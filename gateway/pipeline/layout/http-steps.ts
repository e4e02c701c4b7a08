/** Steps that speak HTTP. */
import { pipelineError } from "#core/errors/pipeline.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { Data } from "#pipeline/events/data.ts";
import type { Emission } from "#pipeline/events/emit.ts";
import { Message, type MessageStart } from "#pipeline/events/messages.ts";
import { DetectProtocol, HandleTlsClientHello, type Protocol, type TlsHello } from "#pipeline/filters/detect.ts";
import type { Replacing } from "#pipeline/filters/replace-events.ts";
import type { Handler } from "#pipeline/filters/script-filter.ts";
import type { WholeOptions } from "#pipeline/filters/whole-messages.ts";
import { DecodeHttp, type Bodiless } from "#pipeline/http/decode.ts";
import { EncodeHttp } from "#pipeline/http/encode.ts";
import type { HttpHead } from "#pipeline/http/http-head.ts";
import { AcceptHttpTunnel, ConnectHttpTunnel, type TunnelRequest } from "#pipeline/http/tunnel.ts";
import { DemuxHttp, type DemuxLimits } from "#pipeline/http/demux.ts";
import { MuxHttp, type KeyOf } from "#pipeline/http/mux.ts";
import { MuxPool, type MuxLimits } from "#pipeline/http/mux-pool.ts";
import { EventSteps } from "./event-steps.ts";
import type { Joint } from "./steps.ts";

const DEMUX_LIMITS: DemuxLimits = {
  ...DEFAULT_HEAD_LIMITS,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
};

const MUX_LIMITS: MuxLimits = {
  sessionsMax: 1024,
  queueMax: 1024,
  idleMax: 256,
  idleTimeoutMs: 30_000,
  messagesMax: Number.POSITIVE_INFINITY,
  responseTimeoutMs: 60_000,
};

type MuxOptions = Partial<MuxLimits> & { readonly version?: 1 };

export abstract class HttpSteps<C extends object> extends EventSteps<C> {
  /**
   * Reads requests from a connection and gives each to an instance of the sub-pipeline, whose context begins as a copy; what
   * that answers goes back, in order. Malformed input is answered and the connection closed; an instance that ends without
   * an answer is answered for: 404 for NO_TARGET, 500 when the script failed, 502 and 504 for its targets.
   */
  demuxHTTP(options: Partial<DemuxLimits> = {}): Joint<this, C> {
    const limits = { ...DEMUX_LIMITS, ...options };
    return this.joint("demuxHTTP", (pipeline) => (scope) => new DemuxHttp(scope, pipeline, limits));
  }

  /**
   * Sends requests over sessions, instances of the sub-pipeline that requests with an equal key share, one at a time each.
   * Without a key every client's connection has sessions of its own; a key of undefined is nowhere to go (404). `version`:
   * HTTP/1.1 is spoken to targets, and nothing else yet.
   */
  muxHTTP(key: KeyOf<C> = ownSessions, { version = 1, ...options }: MuxOptions = {}): Joint<this, C> {
    if (version !== 1)
      throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: `muxHTTP of HTTP/${String(version)}: there is 1` });
    const limits = { ...MUX_LIMITS, ...options };
    return this.joint("muxHTTP", (pipeline) => {
      const pool = new MuxPool(pipeline, limits);
      return (scope) => new MuxHttp(scope, pool, key);
    });
  }

  /** A server: what `answer` says to each whole request, up to `bytesMax` of its body (1 MiB, then 413). Text or bytes are a 200. */
  serveHTTP(
    answer: Replacing<Message<HttpHead>, C> | Message,
    options: WholeOptions & Partial<DemuxLimits> = {},
  ): this {
    const handler = answering(answer);
    return this.demuxHTTP(options).to(($) => $.replaceMessage<HttpHead>(handler, options));
  }

  /** Bytes to requests, in this stream; what is none ends it. */
  decodeHTTPRequest(): this {
    return this.use((scope) => new DecodeHttp(scope, null));
  }

  /** Bytes to responses. `bodiless`: is the next one to a HEAD request? */
  decodeHTTPResponse(bodiless: Bodiless<C> = () => false): this {
    return this.use((scope) => new DecodeHttp(scope, bodiless));
  }

  encodeHTTPRequest(): this {
    return this.use((scope) => new EncodeHttp(scope, true));
  }

  encodeHTTPResponse(): this {
    return this.use((scope) => new EncodeHttp(scope, false));
  }

  /**
   * For CONNECT, and requests to upgrade: `answer` says what to; behind a 2xx, or 101, the client's bytes go to the sub-pipeline,
   * and what that says goes to the client. Stands in a `demuxHTTP`.
   */
  acceptHTTPTunnel(answer: Handler<MessageStart<HttpHead>, C, Message>): Joint<this, C> {
    return this.joint("acceptHTTPTunnel", (pipeline) => (scope) => new AcceptHttpTunnel(scope, pipeline, answer));
  }

  /** Bytes through a tunnel: asked for by `request` (`CONNECT` to its `path`) over the sub-pipeline. */
  connectHTTPTunnel(request: TunnelRequest<C>): Joint<this, C> {
    return this.joint("connectHTTPTunnel", (pipeline) => (scope) => new ConnectHttpTunnel(scope, pipeline, request));
  }

  /** Tells by the first bytes what a client speaks, before any of them goes on. */
  detectProtocol(handler: Handler<Protocol, C, unknown>): this {
    return this.use((scope) => new DetectProtocol(scope, handler));
  }

  /** Tells whom a TLS client wants to speak to; its bytes go on as they are. */
  handleTLSClientHello(handler: Handler<TlsHello, C, unknown>): this {
    return this.use((scope) => new HandleTlsClientHello(scope, handler));
  }
}

/** Each request has an answer: one that is forgotten would leave its client waiting. */
function answering<C extends object>(
  answer: Replacing<Message<HttpHead>, C> | Message,
): Replacing<Message<HttpHead>, C> {
  if (typeof answer !== "function") return () => answer;
  return (message, context) => {
    const said = answer(message, context);
    return said instanceof Promise ? said.then(asResponse) : asResponse(said);
  };
}

function asResponse(said: Emission): Emission {
  if (said === undefined || said === null)
    throw pipelineError("PENSTOCK_PIPELINE_EMISSION", { detail: "serveHTTP: nothing" });
  return typeof said === "string" || said instanceof Uint8Array || said instanceof Data ? new Message(said) : said;
}

/** Keys are compared by value: a number for each connection. */
const numbers = new WeakMap<object, number>();
let last = 0;

function ownSessions({ inbound }: { readonly inbound: object }): number {
  let number = numbers.get(inbound);
  if (number === undefined) numbers.set(inbound, (number = ++last));
  return number;
}
