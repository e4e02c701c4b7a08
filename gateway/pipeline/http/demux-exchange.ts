/**
 * One request of a connection and its response: the pipeline instance that works on it, and the sink of what that answers.
 *
 *     WAITING ─▶ ANSWERING ─▶ DONE           an ending in WAITING is answered by a problem document, in ANSWERING
 *                                            the connection is cut, so that nobody takes half an answer for a whole one
 */
import { FRAMING_CLOSE, METHOD_CONNECT, METHOD_HEAD } from "#http/head.ts";
import { FINISHED, OVERLOADED, RESET, SCRIPT_FAILED, type Ending } from "#pipeline/events/ending.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { copyContext } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { isDated, noteOfLength, type ResponseInit } from "./head-init.ts";
import { HttpHead } from "./http-head.ts";
import { answerProblem } from "./local-answer.ts";
import type { MessageWriter, WriteResult } from "./message-writer.ts";

const WAITING = 0;
const ANSWERING = 1;
const TUNNEL = 2;
const DONE = 3;

export interface ExchangeOwner {
  readonly writer: MessageWriter;
  /** The connection may carry another request after this. */
  keepAlive: boolean;
  /** The response has been handed over; the exchange is disposed. */
  answered(): void;
  /** From now on bytes pass both ways as they are. */
  becameTunnel(): void;
  /** The connection can't go on. */
  cut(ending: Ending): void;
}

export class DemuxExchange<C extends object> implements Sink {
  readonly #owner: ExchangeOwner;
  readonly #scope: Scope<C>;
  readonly #request: HttpHead;
  readonly #minor: number;
  readonly #method: number;
  readonly #upgrade: boolean;
  readonly instance: Instance<C>;
  #state = WAITING;
  /** Made here, from what a script answered. */
  #made: HttpHead | null = null;

  /** `request` is closed with the exchange. */
  constructor(owner: ExchangeOwner, scope: Scope<C>, pipeline: Pipeline<C>, request: HttpHead) {
    this.#owner = owner;
    this.#scope = scope;
    this.#request = request;
    const { wire } = request;
    this.#minor = wire.minor;
    this.#method = wire.method;
    this.#upgrade = wire.upgrade;
    this.instance = new Instance(pipeline, copyContext(scope.context), scope.runtime, this, scope.chain);
  }

  get isTunnel(): boolean {
    return this.#state === TUNNEL;
  }

  /** Nothing of a response has been sent. */
  get isWaiting(): boolean {
    return this.#state === WAITING;
  }

  begin(): void {
    this.instance.start();
    this.instance.input.messageStart(this.#request);
  }

  messageStart(head: object): void {
    if (this.#state !== WAITING) return;
    const response = head instanceof HttpHead ? head : this.#make(head);
    if (response === null) return;
    const { status } = response.wire;
    const tunnel = status === 101 ? this.#upgrade : this.#method === METHOD_CONNECT && status >= 200 && status < 300;
    if (status === 101 && !tunnel) {
      this.#answer(SCRIPT_FAILED);
      return;
    }
    this.#state = ANSWERING;
    const { writer } = this.#owner;
    const written = writer.response(response, this.#minor, this.#owner.keepAlive);
    if (!this.#check(written)) return;
    if (writer.framing === FRAMING_CLOSE) this.#owner.keepAlive = false;
    if (!tunnel) return;
    this.#state = TUNNEL;
    this.#owner.becameTunnel();
  }

  /** Null: what the script made is none, and it has been told. */
  #make(head: object): HttpHead | null {
    const init = head as ResponseInit;
    const length = noteOfLength(init);
    const framing = length < 0 ? "transfer-encoding: chunked\r\n" : `content-length: ${length}\r\n`;
    const { runtime } = this.#scope;
    const lines = isDated(init) ? framing : runtime.date.text + framing;
    try {
      return (this.#made = HttpHead.response(init, lines, this.#method, runtime));
    } catch (error) {
      this.instance.fail(error);
      return null;
    }
  }

  data(buffer: number, start: number, end: number): void {
    if (this.#state === ANSWERING) this.#check(this.#owner.writer.data(buffer, start, end));
    else if (this.#state === TUNNEL) this.#owner.writer.sink.data(buffer, start, end);
  }

  messageEnd(tail: object | null): void {
    if (this.#state !== ANSWERING || !this.#check(this.#owner.writer.end(tail))) return;
    this.#finish();
  }

  streamEnd(ending: Ending): void {
    if (this.#state === WAITING) this.#answer(ending);
    else if (this.#state === ANSWERING) this.#cut(ending === FINISHED ? RESET : ending);
    else if (this.#state === TUNNEL) {
      this.#state = DONE;
      this.#owner.writer.sink.streamEnd(ending);
    }
  }

  #answer(ending: Ending): void {
    const { keepAlive, writer } = this.#owner;
    this.#state = ANSWERING;
    const withBody = this.#method !== METHOD_HEAD;
    if (answerProblem(ending, writer.sink, this.#scope.runtime, keepAlive, this.#minor, withBody)) this.#finish();
    else this.#cut(OVERLOADED);
  }

  #check(result: WriteResult): boolean {
    if (result === "done") return true;
    this.#cut(result === "no-memory" ? OVERLOADED : RESET);
    return false;
  }

  #cut(ending: Ending): void {
    if (this.#state === DONE) return;
    this.dispose();
    this.#owner.cut(ending);
  }

  #finish(): void {
    this.dispose();
    this.#owner.answered();
  }

  /** Nobody waits for the answer any more. */
  dispose(): void {
    this.#state = DONE;
    this.instance.dispose();
    this.#request.close();
    this.#made?.close();
  }
}
