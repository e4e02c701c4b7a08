/**
 * `decodeWebSocket` and `encodeWebSocket` (RFC 6455): what flows through a connection that was upgraded, as messages. A
 * head says what kind; control frames are messages too, and are answered by the script or passed on.
 *
 * A stream that is refused ends as such, and `encodeWebSocket` on the way back tells the peer why in a close frame.
 */
import { randomFillSync } from "node:crypto";
import { BINARY, CLOSE, closePayload, encodeFrame, FrameDecoder, TEXT } from "#http/websocket/frames.ts";
import { ENDED, MALFORMED, TOO_LARGE, type Ending } from "#pipeline/events/ending.ts";
import { Collector, WHOLE_BYTES_MAX } from "#pipeline/filters/collector.ts";
import { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Scope } from "#pipeline/layout/scope.ts";

export interface WebSocketHead {
  /** 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  readonly opcode: number;
}

export interface WebSocketOptions {
  /** Whether frames are masked: those that a client sends are, the others must not be. */
  readonly masked?: boolean;
  /** Of a message; 1 MiB unless given. */
  readonly bytesMax?: number;
}

const TOO_BIG = 1009;
const INTERNAL_ERROR = 1011;
const PROTOCOL_ERROR = 1002;
const MASK_BYTES = 4;

export class DecodeWebSocket<C extends object> extends PipeFilter<C> {
  readonly #decoder: FrameDecoder;
  #over = false;

  constructor(scope: Scope<C>, { masked = true, bytesMax = WHOLE_BYTES_MAX }: WebSocketOptions) {
    super(scope);
    this.#decoder = new FrameDecoder(masked, bytesMax);
  }

  override data(_buffer: number, start: number, end: number): void {
    if (this.#over) return;
    const refusal = this.#decoder.push(this.memory.subarray(start, end), (opcode, payload) => {
      if (this.#over) return;
      const head: WebSocketHead = { opcode };
      this.output.messageStart(head);
      if (payload.length > 0 && !this.write(payload)) this.#over = true;
      else this.output.messageEnd(null);
    });
    if (refusal === null || this.#over) return;
    this.#over = true;
    this.scope.runtime.log(`WebSocket: ${refusal.reason}`);
    // Through what follows, not past it: `encodeWebSocket` has a last word to say.
    this.output.streamEnd(refusal.closeCode === TOO_BIG ? TOO_LARGE : MALFORMED);
  }

  override streamEnd(ending: Ending): void {
    if (!this.#over) this.output.streamEnd(ending);
  }
}

export class EncodeWebSocket<C extends object> extends PipeFilter<C> {
  readonly #masked: boolean;
  readonly #body: Collector;
  #opcode = 0;
  #closed = false;

  constructor(scope: Scope<C>, { masked = false, bytesMax = WHOLE_BYTES_MAX }: WebSocketOptions) {
    super(scope);
    this.#masked = masked;
    this.#body = new Collector(bytesMax);
  }

  override messageStart(head: object): void {
    this.#opcode = (head as Partial<WebSocketHead>).opcode ?? TEXT;
  }

  override data(_buffer: number, start: number, end: number): void {
    if (this.#opcode !== 0 && !this.#body.add(this.memory, start, end)) this.scope.break(TOO_LARGE);
  }

  override messageEnd(): void {
    if (this.#opcode === 0) return;
    const opcode = this.#opcode;
    this.#opcode = 0;
    this.#closed ||= opcode === CLOSE;
    const fits = opcode === TEXT || opcode === BINARY || (opcode >= CLOSE && opcode <= 10);
    const payload = this.#body.take().toBytes();
    if (!fits || (opcode >= CLOSE && payload.length > 125)) {
      return this.scope.fail(new RangeError(`no WebSocket frame has opcode ${opcode} and ${payload.length} bytes`));
    }
    this.write(encodeFrame(opcode, payload, this.#mask()));
  }

  override streamEnd(ending: Ending): void {
    if (ending === ENDED || this.#closed) return this.output.streamEnd(ending);
    this.#closed = true;
    const code = ending === MALFORMED ? PROTOCOL_ERROR : ending === TOO_LARGE ? TOO_BIG : INTERNAL_ERROR;
    this.write(encodeFrame(CLOSE, closePayload(code), this.#mask()));
    // In good order, so that the frame arrives: the peer has been told.
    this.output.streamEnd(ENDED);
  }

  #mask(): Uint8Array | null {
    return this.#masked ? randomFillSync(new Uint8Array(MASK_BYTES)) : null;
  }
}
