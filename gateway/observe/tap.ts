/**
 * Live exchanges of one worker, for who looks on: sampled, secrets redacted, kept for a moment. Closed, it costs the request path
 * a look at one field; it is open as long as somebody asks, and closes by itself when nobody has for a while.
 */

export interface TappedExchange {
  /** Grows by one with each, in this worker. */
  readonly number: number;
  readonly timeMs: number;
  readonly client: string;
  readonly method: string;
  readonly host: string;
  readonly target: string;
  /** Of the request, as the upstream got them. */
  readonly headers: readonly (readonly [string, string])[];
  /** `tenant/name`; empty: none matched. */
  readonly route: string;
  readonly upstream: string;
  /** 0: none was sent. */
  readonly status: number;
  readonly outcome: string;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly durationMs: number;
}

const LEASE_MS = 5000;
const KEPT_MAX = 100;
/** What a person can read, and a busy worker does not notice. */
const A_SECOND_MAX = 50;

export class Tap {
  /** Exchanges are wanted. */
  open = false;
  #route = "";
  #untilMs = 0;
  #kept: TappedExchange[] = [];
  #last = 0;
  #second = 0;
  #taken = 0;

  /** Opens it for a moment more, for one route or (empty) for all; answers those after number `after`. */
  read(route: string, after: number, nowMs: number): readonly TappedExchange[] {
    if (!this.open || route !== this.#route) this.#kept = [];
    this.open = true;
    this.#route = route;
    this.#untilMs = nowMs + LEASE_MS;
    return this.#kept.filter(({ number }) => number > after);
  }

  /** Whether an exchange of this route is to be added. */
  wants(route: string, nowMs: number): boolean {
    if (nowMs > this.#untilMs) {
      this.open = false;
      this.#kept = [];
      return false;
    }
    if (this.#route !== "" && this.#route !== route) return false;
    const second = Math.floor(nowMs / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#taken = 0;
    }
    return this.#taken++ < A_SECOND_MAX;
  }

  add(exchange: Omit<TappedExchange, "number">): void {
    this.#kept.push({ number: ++this.#last, ...exchange });
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
  }
}
