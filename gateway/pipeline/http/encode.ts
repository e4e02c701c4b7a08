/** `encodeHTTPRequest`, `encodeHTTPResponse`: messages in, bytes out. A body that is not what its head has announced ends the stream. */
import { METHOD_GET } from "#http/head.ts";
import { OVERLOADED, RESET } from "#pipeline/events/ending.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { noteOfLength, type RequestInit, type ResponseInit } from "./head-init.ts";
import { HttpHead } from "./http-head.ts";
import { MessageWriter, type WriteResult } from "./message-writer.ts";

export class EncodeHttp<C extends object> extends PipeFilter<C> {
  readonly #requests: boolean;
  readonly #writer: MessageWriter;
  #made: HttpHead | null = null;

  constructor(scope: Scope<C>, requests: boolean) {
    super(scope);
    this.#requests = requests;
    this.#writer = new MessageWriter(scope.runtime, this.output);
  }

  override messageStart(head: object): void {
    this.#writer.sink = this.output;
    const http = head instanceof HttpHead ? head : this.#make(head);
    if (http !== null) this.#check(this.#requests ? this.#writer.request(http) : this.#writer.response(http, 1, true));
  }

  #make(head: object): HttpHead | null {
    const init = head as RequestInit & ResponseInit;
    const length = noteOfLength(init);
    const framing = length < 0 ? "transfer-encoding: chunked\r\n" : `content-length: ${length}\r\n`;
    const { runtime } = this.scope;
    try {
      const made = this.#requests
        ? HttpHead.request(init, length === 0 ? "" : framing, runtime)
        : HttpHead.response(init, framing, METHOD_GET, runtime);
      this.#made?.close();
      return (this.#made = made);
    } catch (error) {
      this.scope.fail(error);
      return null;
    }
  }

  override data(buffer: number, start: number, end: number): void {
    this.#check(this.#writer.data(buffer, start, end));
  }

  override messageEnd(tail: object | null): void {
    this.#check(this.#writer.end(tail));
  }

  override dispose(): void {
    this.#made?.close();
  }

  #check(result: WriteResult): void {
    if (result !== "done") this.scope.break(result === "no-memory" ? OVERLOADED : RESET);
  }
}
