/**
 * `buffer`: the upstream sees a request only when all of its body is here, so that a slow client holds a buffer and not a
 * worker of the upstream's. A body beyond the bound is answered 413, at once where its length is announced.
 *
 * The body stays in the buffers it was received in; what is small is moved together, so that a client that sends a byte
 * at a time does not hold a buffer for each.
 */
import { FRAMING_LENGTH, FRAMING_NONE } from "#http/head.ts";
import { PassingStage, SAME_LENGTH } from "#pipeline/body.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, REPLY, SUSPEND, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { BufferConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter } from "./builtin-filter.ts";
import { lineOf } from "./texts.ts";

const TOO_LONG = lineOf("the body is too long");
/** Regions up to this size are copied. */
const SMALL_BYTES = 16 * 1024;
/** Of all bodies that this worker holds: half of the memory there is for traffic. */
const HELD_BYTES_MAX = 128 * 1024 * 1024;
let held = 0;

export class BufferFilter extends BuiltinFilter {
  readonly #bytesMax: number;

  constructor({ bytesMax }: BufferConfig) {
    super("buffer", HOOK_REQUEST_HEAD);
    this.#bytesMax = bytesMax;
  }

  override requestHead(exchange: Exchange): Verdict {
    const { framing, contentLength } = exchange.request;
    if (framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0)) return CONTINUE;
    if (framing === FRAMING_LENGTH && contentLength > this.#bytesMax) {
      exchange.respond(413, [], TOO_LONG);
      return REPLY;
    }
    exchange.filterRequestBody(new BufferStage(exchange, this.#bytesMax), SAME_LENGTH);
    return SUSPEND;
  }
}

type Piece = { readonly buffer: number; readonly start: number; readonly end: number } | Uint8Array[];

class BufferStage extends PassingStage {
  override readonly holds = true;
  readonly #exchange: Exchange;
  readonly #bytesMax: number;
  #pieces: Piece[] = [];
  #next = 0;
  #bytes = 0;
  #whole = false;

  constructor(exchange: Exchange, bytesMax: number) {
    super();
    this.#exchange = exchange;
    this.#bytesMax = bytesMax;
  }

  override data(buffer: number, start: number, end: number): void {
    this.#bytes += end - start;
    held += end - start;
    if (held > HELD_BYTES_MAX) {
      this.link.fail(503, "overloaded", "the gateway holds as many bodies as it can");
      return;
    }
    if (this.#bytes > this.#bytesMax) {
      this.link.fail(413, "body-too-long", `a body has at most ${this.#bytesMax} bytes here`);
      return;
    }
    if (end - start > SMALL_BYTES) {
      this.link.retain(buffer);
      this.#pieces.push({ buffer, start, end });
      return;
    }
    const copy = this.link.memory.slice(start, end);
    const last = this.#pieces.at(-1);
    if (Array.isArray(last)) last.push(copy);
    else this.#pieces.push([copy]);
  }

  override end(): void {
    this.#whole = true;
    this.#exchange.resume(CONTINUE);
  }

  override drained(): void {
    if (!this.#whole) return;
    while (this.#next < this.#pieces.length) {
      if (this.link.full) return;
      const piece = this.#pieces[this.#next++] as Piece;
      if (Array.isArray(piece)) {
        this.link.write(Buffer.concat(piece));
      } else {
        this.link.data(piece.buffer, piece.start, piece.end);
        this.link.release(piece.buffer);
      }
    }
    this.link.end();
  }

  override dispose(): void {
    held -= this.#bytes;
    const left = this.#pieces.slice(this.#next);
    this.#pieces = [];
    for (const piece of left) if (!Array.isArray(piece)) this.link.release(piece.buffer);
  }
}
