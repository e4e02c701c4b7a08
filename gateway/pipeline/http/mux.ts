/**
 * `muxHTTP`: requests in, responses out, over sessions that all requests of the worker with an equal key share. One
 * exchange at a time in one filter: a request that follows waits for the response before it, so answers keep their order.
 *
 * A key that is undefined or null is nowhere to go: NO_TARGET, which a server answers 404.
 */
import { FRAMING_LENGTH, FRAMING_NONE, METHOD_GET, METHOD_OTHER, METHOD_PATCH, METHOD_POST } from "#http/head.ts";
import { NO_TARGET, OVERLOADED, type Ending } from "#pipeline/events/ending.ts";
import { FAILED, ScriptFilter } from "#pipeline/filters/script-filter.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { noteOfLength, type RequestInit } from "./head-init.ts";
import { HttpHead } from "./http-head.ts";
import { valueKey, type MuxPool, type Waiting } from "./mux-pool.ts";
import type { MuxExchange, MuxSession } from "./mux-session.ts";

export type KeyOf<C extends object> = (context: Context<C>) => unknown;

export class MuxHttp<C extends object> extends ScriptFilter<C> implements MuxExchange, Waiting<C> {
  readonly #pool: MuxPool<C>;
  readonly #keyOf: KeyOf<C>;
  #key: unknown;
  #session: MuxSession<C> | null = null;
  #waiting = false;
  #busy = false;
  /** Another request waits until the response is whole. */
  #behind = false;
  #request: HttpHead | null = null;
  /** A script's head, whose length is known once its first event has come. */
  #sketch: RequestInit | null = null;
  /** Made here, from a script's. */
  #made: HttpHead | null = null;
  #response: HttpHead | null = null;
  #answered = false;
  #retried = false;
  requestMethod = METHOD_OTHER;

  constructor(scope: Scope<C>, pool: MuxPool<C>, keyOf: KeyOf<C>) {
    super(scope);
    this.#pool = pool;
    this.#keyOf = keyOf;
  }

  get context(): Context<C> {
    return this.scope.context;
  }

  override messageStart(head: object): void {
    if (this.#busy && !this.#behind) {
      this.#behind = true;
      this.hold();
    }
    super.messageStart(head);
  }

  override takeMessageStart(head: object): void {
    this.#busy = true;
    this.#answered = false;
    this.#retried = false;
    if (head instanceof HttpHead) this.#begin(head);
    else if (noteOfLength(head as RequestInit) < 0) this.#sketch = head as RequestInit;
    else this.#make(head as RequestInit, `content-length: ${noteOfLength(head as RequestInit)}\r\n`);
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.#sketch !== null) this.#make(this.#sketch, "transfer-encoding: chunked\r\n");
    this.#session?.requestData(buffer, start, end);
  }

  override takeMessageEnd(tail: object | null): void {
    if (this.#sketch !== null) this.#make(this.#sketch, "");
    this.#session?.requestEnd(tail);
  }

  override takeStreamEnd(ending: Ending): void {
    if (this.#session !== null) this.#session.requestClose(ending);
    else if (!this.#busy) this.output.streamEnd(ending);
  }

  /** `framing`: the field line that says how the body goes. */
  #make(init: RequestInit, framing: string): void {
    this.#sketch = null;
    try {
      this.#made = HttpHead.request(init, framing, this.scope.runtime);
    } catch (error) {
      this.scope.fail(error);
      return;
    }
    this.#begin(this.#made);
  }

  #begin(head: HttpHead): void {
    this.#request = head;
    this.requestMethod = head.wire.method;
    const key = this.call(this.#keyOf, this.scope.context);
    if (key === FAILED) return;
    if (key instanceof Promise) this.waitFor(key, (settled) => this.#go(settled));
    else this.attempt((settled) => this.#go(settled), key);
  }

  #go(key: unknown): void {
    if (key === undefined || key === null) {
      this.scope.break(NO_TARGET);
      return;
    }
    this.#key = valueKey(key);
    this.#take(false);
  }

  #take(fresh: boolean): void {
    const session = this.#pool.take(this.#key, this, this.scope.runtime, fresh);
    if (session === undefined) this.scope.break(OVERLOADED);
    else if (session !== null) this.#use(session);
    else {
      this.#waiting = true;
      this.hold();
    }
  }

  admitted(session: MuxSession<C>): void {
    this.#waiting = false;
    this.#use(session);
    this.release();
  }

  #use(session: MuxSession<C>): void {
    this.#session = session;
    session.begin(this, this.#request as HttpHead);
    if (this.#retried) this.#session?.requestEnd(null);
  }

  // What the session tells.

  responseHead(head: HttpHead): void {
    this.#answered = true;
    this.#response = head;
    this.output.messageStart(head);
  }

  responseData(buffer: number, start: number, end: number): void {
    this.output.data(buffer, start, end);
  }

  responseEnd(tail: object | null): void {
    this.#session = null;
    this.output.messageEnd(tail);
    if (this.scope.ended) return;
    this.#reset();
    if (!this.#behind) return;
    this.#behind = false;
    this.release();
  }

  /**
   * A session that was idle may have ended just before. What may be done twice, and has no body, is sent again over a
   * fresh one, once.
   */
  failed(ending: Ending, untouched: boolean): void {
    const session = this.#session;
    this.#session = null;
    const stale = session !== null && session.served > 0 && untouched;
    if (stale && !this.#retried && this.#repeatable) {
      this.#retried = true;
      this.#take(true);
      return;
    }
    if (this.scope.ended) return;
    this.output.streamEnd(ending);
  }

  /** RFC 9110 section 9.2.2: to do it twice is the same as to do it once. */
  get #repeatable(): boolean {
    const wire = this.#request?.wire;
    if (wire === undefined || this.#answered || wire.upgrade) return false;
    const bodiless = wire.framing === FRAMING_NONE || (wire.framing === FRAMING_LENGTH && wire.contentLength === 0);
    const { method } = wire;
    return (
      bodiless &&
      (method === METHOD_GET || (method !== METHOD_POST && method !== METHOD_PATCH && method !== METHOD_OTHER))
    );
  }

  #reset(): void {
    this.#busy = false;
    this.#request = null;
    this.#made?.close();
    this.#made = null;
    this.#response?.close();
    this.#response = null;
  }

  override dispose(): void {
    super.dispose();
    if (this.#waiting) this.#pool.forget(this.#key, this);
    // Before its response is whole nobody else can use it.
    this.#session?.close();
    this.#session = null;
    this.#reset();
  }
}
