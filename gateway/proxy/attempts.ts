/**
 * What one exchange does to get a response: endpoint by endpoint, connection by connection, until one answers or nothing
 * is left to try. Pooled with its exchange, which hears of one response or one failure.
 *
 * Bytes of the request head stay in the buffer they were received in, which is retained here until nothing can ask for
 * them any more: another attempt, the log, a filter on the way back.
 */
import { ETIMEDOUT } from "#core/errno.ts";
import { FRAMING_NONE, METHOD_OTHER, METHOD_PATCH, METHOD_POST, type Head } from "#http/head.ts";
import { HIGH_WATERMARK_BYTES, type Connection } from "#net/connection.ts";
import type { HeldRegions } from "#net/held.ts";
import { UPSTREAM_CONNECT_FAILURES, UPSTREAM_RETRIES } from "#observe/counters.ts";
import { BROKEN_CLOSED, BROKEN_RESET, type Broken } from "#upstream/broken.ts";
import type { ResponseSink, UpstreamStream } from "#upstream/stream.ts";
import type { WorkerContext } from "./context.ts";
import type { DownstreamStream } from "./downstream-stream.ts";
import type { Engine, Route } from "./engine.ts";
import * as outcomes from "./outcomes.ts";
import { RequestWriter } from "./request-writer.ts";
import { Target } from "./target.ts";

/** The exchange, as its attempts see it. */
export interface AttemptsOwner {
  readonly request: Head;
  readonly response: Head;
  readonly ended: boolean;
  informational(): void;
  /** `response` is parsed; its bytes are valid for the call. */
  responseHead(): void;
  responseData(buffer: number, start: number, end: number): void;
  responseEnd(trailers: Head | null): void;
  /** The request's body can be taken: its head has been sent, or the endpoint has caught up. */
  bodyWanted(): void;
  /** There is no response, or no more of it. */
  upstreamFailed(outcome: outcomes.Outcome): void;
}

export class Attempts implements ResponseSink {
  readonly #worker: WorkerContext;
  readonly #owner: AttemptsOwner;
  readonly response: Head;
  readonly #target: Target;
  readonly #writer: RequestWriter;
  #engine: Engine | null = null;
  #downstream: DownstreamStream | null = null;
  #keepsHead = false;
  /** Buffer that holds the request head; −1 once it is given up. */
  #head = -1;
  #answered = false;
  /** The endpoint takes the body too slowly. */
  #paused = false;
  requestMethod = 0;
  /** The connection in use; null before, between and after attempts. */
  stream: UpstreamStream | null = null;

  constructor(worker: WorkerContext, owner: AttemptsOwner) {
    this.#worker = worker;
    this.#owner = owner;
    this.response = owner.response;
    this.#target = new Target(worker);
    this.#writer = new RequestWriter(worker.workspace);
  }

  /** The endpoint being used, for the log; empty before one is. */
  get address(): string {
    return this.#target.address;
  }

  get wantsBody(): boolean {
    return this.stream !== null && !this.#paused && this.#target.connected;
  }

  get keepsHead(): boolean {
    return this.#head >= 0;
  }

  /** Retains the buffer that holds the request's head. */
  keepHead(buffer: number): void {
    this.#worker.buffers.retain(buffer);
    this.#head = buffer;
  }

  /** `keepsHead`: the head is wanted to the end. */
  begin(route: Route, downstream: DownstreamStream, engine: Engine, keepsHead: boolean): void {
    this.#engine = engine;
    this.#downstream = downstream;
    this.#keepsHead = keepsHead;
    this.requestMethod = this.#owner.request.method;
    const original = route.split === null ? downstream.originalAddress : null;
    const outcome = this.#target.choose(route, original);
    if (outcome === outcomes.OK) this.#connect();
    else this.#owner.upstreamFailed(outcome);
  }

  data(buffer: number, start: number, end: number): void {
    const { stream } = this;
    if (stream === null) return;
    stream.sendData(buffer, start, end);
    if (this.stream !== null && stream.queuedBytes > HIGH_WATERMARK_BYTES) {
      this.#paused = true;
      this.#downstream?.pauseRequest();
    }
  }

  end(trailers: Head | null): void {
    this.stream?.sendEnd(trailers);
  }

  /** Nobody waits for a response any more. */
  drop(): void {
    this.stream?.discard();
    this.stream = null;
  }

  /** After 101: hands the connection over. */
  release(): { connection: Connection; held: HeldRegions } {
    const released = (this.stream as UpstreamStream).release();
    this.stream = null;
    return released;
  }

  reset(): void {
    this.#releaseHead();
    this.#target.reset();
    this.#engine = null;
    this.#downstream = null;
    this.#keepsHead = false;
    this.#answered = false;
    this.#paused = false;
    this.stream = null;
  }

  #connect(): void {
    this.stream = this.#target.acquire(this, this.#engine as Engine);
    if (this.#target.connected) this.#send();
  }

  onConnected(): void {
    this.#target.connected = true;
    this.#send();
  }

  onConnectFailed(error: number): void {
    this.#worker.counters.add(UPSTREAM_CONNECT_FAILURES, 1);
    this.stream = null;
    if (this.#target.next()) {
      this.#worker.counters.add(UPSTREAM_RETRIES, 1);
      this.#connect();
    } else {
      this.#owner.upstreamFailed(error === ETIMEDOUT ? outcomes.CONNECT_TIMEOUT : outcomes.CONNECT_FAILED);
    }
  }

  #send(): void {
    const stream = this.stream as UpstreamStream;
    const downstream = this.#downstream as DownstreamStream;
    if (!this.#writer.send(this.#owner.request, downstream, stream)) {
      this.drop();
      this.#owner.upstreamFailed(outcomes.HEAD_TOO_LONG);
      return;
    }
    if (!this.#mayRetry(stream) && !this.#keepsHead) this.#releaseHead();
    this.#owner.bodyWanted();
  }

  /**
   * A connection that was idle may have been closed by the endpoint just before. Then nothing of the request was acted
   * upon, but that can't be known: only what is safe to do twice, and was sent whole, is sent again (RFC 9110 §9.2.2).
   */
  #mayRetry(stream: UpstreamStream): boolean {
    const method = this.requestMethod;
    const idempotent = method !== METHOD_POST && method !== METHOD_PATCH && method !== METHOD_OTHER;
    const { framing, upgrade } = this.#owner.request;
    return stream.served > 0 && idempotent && framing === FRAMING_NONE && !upgrade;
  }

  #releaseHead(): void {
    if (this.#head < 0) return;
    this.#worker.buffers.release(this.#head);
    this.#head = -1;
  }

  onUpstreamDrained(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#owner.bodyWanted();
  }

  onInformational(): void {
    this.#owner.informational();
  }

  onResponseHead(_buffer: number): void {
    this.#answered = true;
    if (!this.#keepsHead) this.#releaseHead();
    this.#owner.responseHead();
  }

  onResponseData(buffer: number, start: number, end: number): void {
    this.#owner.responseData(buffer, start, end);
  }

  onResponseEnd(trailers: Head | null): void {
    this.stream = null;
    this.#owner.responseEnd(trailers);
  }

  onUpstreamBroken(reason: Broken): void {
    const { stream } = this;
    this.stream = null;
    const stale = (reason === BROKEN_CLOSED || reason === BROKEN_RESET) && !this.#answered && this.#head >= 0;
    if (stale && stream !== null && this.#mayRetry(stream) && this.#target.again()) {
      this.#worker.counters.add(UPSTREAM_RETRIES, 1);
      this.#connect();
      return;
    }
    this.#owner.upstreamFailed(outcomes.outcomeOf(reason));
  }
}
