/**
 * `acceptHTTPTunnel`, `connectHTTPTunnel`: the two ends of a tunnel through HTTP. A server answers CONNECT, or a request to
 * upgrade, by a script's word, and what follows is a stream of bytes for the sub-pipeline; a client asks for one over
 * the connection that its sub-pipeline is.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { METHOD_CONNECT, METHOD_GET, type Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { Carry } from "#net/carry.ts";
import { emit } from "#pipeline/events/emit.ts";
import { BAD_RESPONSE, CONNECT_FAILED, ENDED, OVERLOADED, RESET, type Ending } from "#pipeline/events/ending.ts";
import { Message, MessageStart } from "#pipeline/events/messages.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { HoldingFilter } from "#pipeline/filters/holding-filter.ts";
import { ScriptFilter, type Handler } from "#pipeline/filters/script-filter.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { RequestInit } from "./head-init.ts";
import { HttpHead } from "./http-head.ts";
import { MessageWriter } from "./message-writer.ts";

export class AcceptHttpTunnel<C extends object> extends ScriptFilter<C> {
  readonly #pipeline: Pipeline<C>;
  readonly #handler: Handler<MessageStart<HttpHead>, C, Message>;
  #tunnel: Instance<C> | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, handler: Handler<MessageStart<HttpHead>, C, Message>) {
    super(scope);
    this.#pipeline = pipeline;
    this.#handler = handler;
  }

  override takeMessageStart(head: object): void {
    if (this.#tunnel !== null) return;
    this.answer(this.#handler, new MessageStart(head as HttpHead), (response) => this.#answer(response));
  }

  #answer(response: Message): void {
    if (!(response instanceof Message))
      throw pipelineError("PENSTOCK_PIPELINE_EMISSION", { detail: `acceptHTTPTunnel: ${typeof response}` });
    const { status = 200 } = response.head as { readonly status?: number };
    const { context, runtime } = this.scope;
    if (status === 101 || (status >= 200 && status < 300)) {
      this.#tunnel = new Instance(this.#pipeline, context, runtime, this.output);
    }
    emit(response, this.output, runtime);
    this.#tunnel?.start();
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.#tunnel?.input.data(buffer, start, end);
  }

  override takeMessageEnd(): void {}

  override takeStreamEnd(ending: Ending): void {
    if (this.#tunnel === null) this.output.streamEnd(ending);
    else this.#tunnel.input.streamEnd(ending);
  }

  override dispose(): void {
    super.dispose();
    this.#tunnel?.dispose();
  }
}

/** What is asked for, or what a script says when the stream begins. */
export type TunnelRequest<C extends object> = RequestInit | ((context: Context<C>) => RequestInit);

export class ConnectHttpTunnel<C extends object> extends HoldingFilter<C> implements Sink {
  readonly #pipeline: Pipeline<C>;
  readonly #request: TunnelRequest<C>;
  readonly #carry: Carry;
  readonly #answers: Sink = {
    messageStart: () => {},
    data: (buffer, start, end) => this.#received(buffer, start, end),
    messageEnd: () => {},
    streamEnd: (ending) => this.#ended(ending),
  };
  #tunnel: Instance<C> | null = null;
  #asked: HttpHead | null = null;
  #open = false;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, request: TunnelRequest<C>) {
    super(scope);
    this.#pipeline = pipeline;
    this.#request = request;
    this.#carry = new Carry(scope.runtime.buffers);
  }

  /** Asks at once: who is at the other end may speak first. */
  override started(): void {
    const { context, runtime } = this.scope;
    this.hold();
    try {
      const request = typeof this.#request === "function" ? this.#request(context) : this.#request;
      this.#asked = HttpHead.request({ method: "CONNECT", ...request }, "", runtime);
    } catch (error) {
      this.scope.fail(error);
      return;
    }
    this.#tunnel = new Instance(this.#pipeline, context, runtime, this.#answers);
    this.#tunnel.start();
    if (new MessageWriter(runtime, this.#tunnel.input).request(this.#asked) !== "done") this.scope.break(OVERLOADED);
  }

  override takeData(buffer: number, start: number, end: number): void {
    this.#tunnel?.input.data(buffer, start, end);
  }

  override takeStreamEnd(ending: Ending): void {
    this.#tunnel?.input.streamEnd(ending);
  }

  override dispose(): void {
    super.dispose();
    this.#carry.clear();
    this.#asked?.close();
    this.#tunnel?.dispose();
  }

  #received(buffer: number, start: number, end: number): void {
    if (this.#open) this.output.data(buffer, start, end);
    else this.#readHead(buffer, start, end);
  }

  #readHead(buffer: number, start: number, end: number): void {
    const carry = this.#carry;
    const before = carry.active ? carry.end : 0;
    const copied = carry.append(start, end);
    if (copied < 0) {
      this.scope.break(OVERLOADED);
      return;
    }
    const { heads } = this.scope.runtime;
    const wire: Head = heads.take();
    const method = this.#asked?.wire.method === METHOD_CONNECT ? METHOD_CONNECT : METHOD_GET;
    const next = parseResponseHead(wire, carry.start, carry.end, DEFAULT_HEAD_LIMITS, method);
    const { status } = wire;
    heads.give(wire);
    if (next === 0 && copied === end - start) return;
    if (next <= 0) this.scope.break(BAD_RESPONSE);
    else if (status >= 300 || (status < 200 && status !== 101)) this.scope.break(CONNECT_FAILED);
    else {
      const behind = start + (next - (before === 0 ? carry.start : before));
      carry.clear();
      this.#open = true;
      this.release();
      if (behind < end) this.output.data(buffer, behind, end);
    }
  }

  #ended(ending: Ending): void {
    if (this.#open) this.output.streamEnd(ending);
    else this.scope.break(ending === ENDED ? RESET : ending);
  }
}
