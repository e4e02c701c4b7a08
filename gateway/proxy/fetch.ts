/**
 * One small request of the gateway's own to an upstream, for filters: its head fits into one buffer, its body is bounded, and the
 * answer's body is collected up to a bound, or dropped. It shares endpoints, connections and time-outs with the traffic.
 */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { beginsTunnel, FRAMING_LENGTH, FRAMING_NONE, Head, METHOD_CONNECT } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Timed } from "#io/timers.ts";
import type { FetchRequest, FetchResponse } from "#pipeline/filter.ts";
import { BROKEN_CLOSED, BROKEN_RESET, type Broken } from "#upstream/broken.ts";
import type { ResponseSink, UpstreamStream } from "#upstream/stream.ts";
import type { WorkerContext } from "./context.ts";
import type { Engine } from "./engine.ts";
import { OK, OUTCOMES, type Outcome } from "./outcomes.ts";
import { Target } from "./target.ts";

/** The answer's body; a longer one is an error. */
export const FETCH_BODY_BYTES_MAX = 64 * 1024;

/** Of the request's. */
const REQUEST_BODY_BYTES_MAX = 1024 * 1024;

/** Endpoints that are tried when one after the other can't be connected to. */
const CONNECTS_MAX = 3;

const BROKEN_WORDS: Readonly<Record<Broken, string>> = {
  1: "the upstream closed the connection",
  2: "the upstream broke the connection",
  3: "the upstream did not answer in time",
  4: "the upstream's response is malformed",
  5: "the gateway is at its memory bound",
  6: "the upstream closed the connection",
};

/** Never rejects: what fails is told by `status` 0 and `error`. */
export function fetchUpstream(
  worker: WorkerContext,
  engine: Engine,
  upstream: number,
  request: FetchRequest,
): Promise<FetchResponse> {
  return new Promise((resolve) => {
    const fetch = new Fetch(worker, engine, request, (response) => {
      // Promise reactions run when the turn is over.
      worker.loop.yieldSoon();
      resolve(response);
    });
    if (request.call !== undefined) request.call.cancel = () => fetch.cancel();
    fetch.start(upstream);
  });
}

class Fetch implements ResponseSink, Timed {
  readonly response: Head;
  readonly #request: Head;
  readonly #worker: WorkerContext;
  readonly #engine: Engine;
  readonly #wanted: FetchRequest;
  readonly #done: (response: FetchResponse) => void;
  readonly #target: Target;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;
  #connects = 0;
  #buffer = -1;
  /** Of the Host field when the filter gives none: the upstream's name. */
  #hostName = "";
  #stream: UpstreamStream | null = null;
  #status = 0;
  #headers: [string, string][] = [];
  #over = false;
  requestMethod = 0;
  deadlineMs = 0;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;

  constructor(worker: WorkerContext, engine: Engine, wanted: FetchRequest, done: (response: FetchResponse) => void) {
    this.#worker = worker;
    this.#engine = engine;
    this.#wanted = wanted;
    this.#done = done;
    this.#request = new Head(worker.scratch);
    this.response = new Head(worker.scratch);
    this.#target = new Target(worker);
    engine.retain();
  }

  start(upstream: number): void {
    this.#hostName = this.#engine.upstreams[upstream]?.name ?? "upstream";
    const refused = this.#write();
    const outcome = refused === "" ? this.#choose(upstream) : OK;
    if (refused !== "" || outcome !== OK) {
      this.#finish(refused === "" ? (OUTCOMES[outcome]?.detail ?? "") : refused);
      return;
    }
    this.deadlineMs = this.#worker.loop.nowMs + this.#wanted.timeoutMs;
    this.#worker.loop.timers.watch(this);
    this.#connect();
  }

  cancel(): void {
    this.#finish("nobody waits for the answer any more");
  }

  #choose(upstream: number): Outcome {
    const outcome = this.#target.beginUpstream(this.#engine, upstream);
    return outcome === OK ? this.#target.choose(this.#request, "") : outcome;
  }

  /** Writes the request into a buffer of its own and parses it there, so that what a filter asks for is checked like anyone's. */
  #write(): string {
    const { method, path, headers, body } = this.#wanted;
    const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const host = headers.some(([name]) => name === "host") ? "" : `host: ${this.#hostName}\r\n`;
    const length = body.length > 0 ? `content-length: ${body.length}\r\n` : "";
    const text = Buffer.from(`${method} ${path} HTTP/1.1\r\n${host}${fields}${length}\r\n`, "latin1");
    if (text.length > BUFFER_BYTES || body.length > REQUEST_BODY_BYTES_MAX) return "the request is too long";
    this.#buffer = this.#worker.buffers.allocate();
    if (this.#buffer < 0) return "the gateway is at its memory bound";
    const start = this.#buffer * BUFFER_BYTES;
    this.#worker.buffers.memory.set(text, start);
    const limits: HeadLimits = this.#engine.limits;
    const parsed = parseRequestHead(this.#request, start, start + text.length, limits);
    if (parsed !== start + text.length) return "the request is malformed";
    this.requestMethod = this.#request.method;
    return this.requestMethod === METHOD_CONNECT ? "a tunnel can't be fetched" : "";
  }

  #connect(): void {
    this.#stream = this.#target.acquire(this, this.#engine, null);
    if (this.#target.connected) this.#send();
  }

  #send(): void {
    const stream = this.#stream as UpstreamStream;
    const framing = this.#wanted.body.length > 0 ? FRAMING_LENGTH : FRAMING_NONE;
    const options = { dropForwarded: false, appendStart: 0, appendEnd: 0, framing, upgrade: false };
    if (!stream.sendHead(this.#request, options)) {
      this.#finish("the request is too long");
      return;
    }
    if (framing === FRAMING_LENGTH) this.#sendBody(stream);
  }

  /** A buffer at a time, which goes back to the others when its bytes are in the kernel. */
  #sendBody(stream: UpstreamStream): void {
    const { buffers } = this.#worker;
    const { body } = this.#wanted;
    for (let at = 0; at < body.length && !this.#over; at += BUFFER_BYTES) {
      const buffer = buffers.allocate();
      if (buffer < 0) {
        this.#finish("the gateway is at its memory bound");
        return;
      }
      const piece = body.subarray(at, at + BUFFER_BYTES);
      const start = buffer * BUFFER_BYTES;
      buffers.memory.set(piece, start);
      stream.sendData(buffer, start, start + piece.length);
      buffers.release(buffer);
    }
    if (!this.#over) stream.sendEnd(null);
  }

  onConnected(): void {
    this.#target.connected = true;
    this.#send();
  }

  onConnectFailed(): void {
    this.#stream = null;
    if (++this.#connects < CONNECTS_MAX && this.#target.chooseOther(this.#request, "")) this.#connect();
    else this.#finish("no endpoint of the upstream accepted a connection");
  }

  onInformational(): void {}

  onResponseHead(): void {
    if (beginsTunnel(this.response.status, this.requestMethod)) {
      this.#finish("the upstream began another protocol, which nobody had asked for");
      return;
    }
    this.#status = this.response.status;
    if (this.#wanted.ignoreAnswer !== true) this.#headers = this.response.entries();
  }

  onResponseData(_buffer: number, start: number, end: number): void {
    if (this.#wanted.ignoreAnswer === true) return;
    this.#bytes += end - start;
    if (this.#bytes > FETCH_BODY_BYTES_MAX) this.#finish(`the answer is longer than ${FETCH_BODY_BYTES_MAX} bytes`);
    else this.#chunks.push(this.#worker.buffers.memory.slice(start, end));
  }

  onResponseEnd(): void {
    this.#stream = null;
    this.#finish("");
  }

  onUpstreamBroken(reason: Broken): void {
    const stream = this.#stream;
    this.#stream = null;
    // As for traffic: a connection that was idle too long, and nothing that may not be asked twice.
    const stale = reason === BROKEN_CLOSED || reason === BROKEN_RESET;
    const safe = stale && (this.#wanted.method === "GET" || this.#wanted.method === "HEAD");
    if (this.#status === 0 && safe && stream !== null && stream.served > 0 && this.#target.again()) this.#connect();
    else this.#finish(BROKEN_WORDS[reason]);
  }

  onUpstreamDrained(): void {}

  onDeadline(): void {
    this.#finish("the upstream did not answer in time");
  }

  #finish(error: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#stream?.discard();
    this.#stream = null;
    this.#worker.loop.timers.forget(this);
    this.#request.reset();
    this.response.reset();
    if (this.#buffer >= 0) this.#worker.buffers.release(this.#buffer);
    this.#engine.release();
    const failed = error !== "";
    this.#done({
      status: failed ? 0 : this.#status,
      headers: failed ? [] : this.#headers,
      body: failed ? new Uint8Array(0) : Buffer.concat(this.#chunks),
      error,
    });
  }
}
