/**
 * The Date field of messages that are made here (RFC 9110 section 6.6.1), as bytes: written anew at most once a second, when somebody asks,
 * so that a message costs a copy and an idle process nothing.
 */
import { piece } from "./h1/write.ts";

/** Milliseconds that only grow, as of the turn: the loop's. */
export interface TurnClock {
  readonly nowMs: number;
}

const SECOND_MS = 1000;

export class HttpDate {
  readonly #clock: TurnClock;
  readonly #wallMs: () => number;
  #text = "";
  #line: Uint8Array = new Uint8Array(0);
  /** By the clock: when the second is over. */
  #untilMs = -Infinity;

  /** `wallMs`: milliseconds since the epoch; asked once a second, so that a clock that is set is followed. */
  constructor(clock: TurnClock, wallMs: () => number = Date.now) {
    this.#clock = clock;
    this.#wallMs = wallMs;
  }

  /** `date: Sun, 06 Nov 1994 08:49:37 GMT` with its CRLF. */
  get line(): Uint8Array {
    this.#renew();
    return this.#line;
  }

  /** The same as text. */
  get text(): string {
    this.#renew();
    return this.#text;
  }

  #renew(): void {
    const { nowMs } = this.#clock;
    if (nowMs < this.#untilMs) return;
    const wallMs = this.#wallMs();
    this.#text = `date: ${new Date(wallMs).toUTCString()}\r\n`;
    this.#line = piece(this.#text);
    this.#untilMs = nowMs + SECOND_MS - (wallMs % SECOND_MS);
  }
}
