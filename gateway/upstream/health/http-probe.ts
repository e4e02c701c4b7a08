/**
 * One GET on a connection of its own, and whether its status is a healthy one. A connection of the pool would tell of the
 * process that was there when it was made; and a check takes no place that a limit counts.
 */
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { FRAMING_NONE, Head, METHOD_GET } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { Connection } from "#net/connection.ts";
import type { HealthCheckSpec } from "#snapshot/snapshot.ts";
import type { UpstreamContext } from "#upstream/context.ts";
import { Endpoint } from "#upstream/endpoint.ts";
import { Http1Upstream } from "#upstream/http1-upstream.ts";
import type { ResponseSink, UpstreamTimeouts } from "#upstream/stream.ts";
import type { Broken } from "#upstream/broken.ts";
import { connectFault, type Probe } from "./probe.ts";

export class HttpProbe implements Probe, ResponseSink {
  readonly #endpoint: Endpoint;
  readonly #spec: HealthCheckSpec;
  readonly #timeouts: UpstreamTimeouts;
  readonly #context: UpstreamContext;
  readonly #introduction: Uint8Array | null;
  readonly #told: (fault: string) => void;
  readonly response: Head;
  readonly requestMethod = METHOD_GET;
  readonly #request: Head;
  /** Of the request's bytes: an offset in the arena. */
  #region = -1;
  #stream: Http1Upstream | null = null;

  constructor(
    endpoint: Endpoint,
    spec: HealthCheckSpec,
    timeouts: UpstreamTimeouts,
    context: UpstreamContext,
    introduction: Uint8Array | null,
    told: (fault: string) => void,
  ) {
    // The same address, without its pool and its count of requests.
    this.#endpoint = new Endpoint(endpoint.address, endpoint.sockaddr, 0, endpoint.key, endpoint.tls);
    this.#spec = spec;
    this.#timeouts = timeouts;
    this.#context = context;
    this.#introduction = introduction;
    this.#told = told;
    this.response = new Head(context.scratch);
    this.#request = new Head(context.scratch);
  }

  start(): void {
    const { loop, gather, scratch } = this.#context;
    this.#region = scratch.allocate();
    if (this.#region < 0 || !this.#write()) {
      this.#finish("the gateway is at its memory bound");
      return;
    }
    const connection = new Connection(loop, gather);
    this.#stream = new Http1Upstream(this.#endpoint, connection, this.#timeouts, DEFAULT_HEAD_LIMITS, scratch);
    this.#stream.dial(this, this.#introduction);
  }

  cancel(): void {
    this.#release();
  }

  /** A Host that has a port, as a client would send it; a Unix socket has none. */
  #write(): boolean {
    const { path, host } = this.#spec;
    const { address } = this.#endpoint;
    const named = host === "" ? (address.startsWith("unix:") ? "localhost" : address) : host;
    const text = `GET ${path} HTTP/1.1\r\nhost: ${named}\r\nuser-agent: penstock-health-check\r\nconnection: close\r\n\r\n`;
    const bytes = Buffer.from(text, "latin1");
    this.#context.scratch.memory.set(bytes, this.#region);
    const end = this.#region + bytes.length;
    return parseRequestHead(this.#request, this.#region, end, DEFAULT_HEAD_LIMITS) === end;
  }

  onConnected(): void {
    const options = { dropForwarded: false, appendStart: 0, appendEnd: 0, framing: FRAMING_NONE, upgrade: false };
    if (this.#stream?.sendHead(this.#request, options) !== true) this.#finish("the gateway is at its memory bound");
  }

  onConnectFailed(error: number): void {
    this.#stream = null;
    this.#finish(connectFault(error));
  }

  onInformational(): void {}

  onResponseHead(): void {
    const { status } = this.response;
    const { statusMin, statusMax } = this.#spec;
    this.#finish(status >= statusMin && status <= statusMax ? "" : `status ${status}`);
  }

  onResponseData(): void {}
  onResponseEnd(): void {}
  onUpstreamDrained(): void {}

  onUpstreamBroken(_reason: Broken): void {
    this.#stream = null;
    this.#finish("the connection ended without a response");
  }

  #finish(fault: string): void {
    this.#release();
    this.#told(fault);
  }

  #release(): void {
    this.#stream?.discard();
    this.#stream = null;
    this.#request.reset();
    this.response.reset();
    if (this.#region >= 0) this.#context.scratch.free(this.#region);
    this.#region = -1;
  }
}
