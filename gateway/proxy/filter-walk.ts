/**
 * Where one exchange stands in its route's chain: request hooks from the first filter to the last, response hooks back
 * from the last that saw the request. Pooled with its exchange.
 *
 *     chain      f0 ──▶ f1 ──▶ f2 ──▶ upstream         `position`: the filter that runs next, on the way there;
 *                f0 ◀── f1 ◀── f2 ◀──                  on the way back, the one that ran last
 */
import { assert } from "#core/assert.ts";
import type { Loop } from "#io/loop.ts";
import {
  CONTINUE,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  SUSPEND,
  type Exchange,
  type Filter,
  type Verdict,
} from "#pipeline/filter.ts";

export class FilterWalk {
  readonly #loop: Loop;
  #position = 0;
  suspended = false;
  /** A filter was left thinking: it may still speak, and must not be heard by another request. */
  abandoned = false;
  /** When the filter that is thinking was asked; Infinity while none is. */
  suspendedMs = Infinity;

  constructor(loop: Loop) {
    this.#loop = loop;
  }

  /** CONTINUE: all have passed it. REPLY: one has answered. SUSPEND: one thinks; call again when it has said CONTINUE. */
  request(exchange: Exchange, chain: readonly Filter[]): Verdict {
    const { state } = exchange;
    for (let i = state.length; i < chain.length; i++) state.push(null);
    while (this.#position < chain.length) {
      const filter = chain[this.#position] as Filter;
      if ((filter.hooks & HOOK_REQUEST_HEAD) !== 0) {
        const verdict = filter.requestHead(exchange, this.#position);
        if (verdict === SUSPEND) this.#suspend();
        if (verdict !== CONTINUE) return verdict;
      }
      this.#position++;
    }
    return CONTINUE;
  }

  /** As for the request, towards the first filter. After REPLY those that are left see the reply: call again. */
  response(exchange: Exchange, chain: readonly Filter[]): Verdict {
    while (this.#position > 0) {
      this.#position--;
      const filter = chain[this.#position] as Filter;
      if ((filter.hooks & HOOK_RESPONSE_HEAD) === 0) continue;
      const verdict = filter.responseHead(exchange, this.#position);
      if (verdict === SUSPEND) this.#suspend();
      if (verdict !== CONTINUE) return verdict;
    }
    return CONTINUE;
  }

  /** The exchange is over, in whatever way: who wants to hear of it does. */
  end(exchange: Exchange, chain: readonly Filter[]): void {
    for (let i = 0; i < chain.length; i++) {
      const filter = chain[i] as Filter;
      if ((filter.hooks & HOOK_END) !== 0) filter.end(exchange, i);
    }
  }

  /** The upstream's response: every filter sees it. */
  turnAtEnd(chain: readonly Filter[]): void {
    this.#position = chain.length;
  }

  /** The gateway's own answer: the filters that have let the request pass see it. The one that stands here has not. */
  turnHere(chain: readonly Filter[]): void {
    this.#position = Math.min(this.#position, chain.length);
  }

  /** The filter that thought has decided. */
  wake(): void {
    assert(this.suspended, "a filter that was asked");
    this.#forget();
  }

  /** On the way there, the filter that thought lets the request pass: the next one has its turn. */
  pass(): void {
    this.#position++;
  }

  /** Goes on without the filter that is thinking: whatever it says later is too late. */
  abandon(): void {
    this.abandoned ||= this.suspended;
    this.#forget();
  }

  reset(): void {
    this.#position = 0;
    this.abandoned = false;
    this.#forget();
  }

  /** What will take it on may be a promise that is settled already: its reactions run when the turn is over. */
  #suspend(): void {
    this.suspended = true;
    this.suspendedMs = this.#loop.nowMs;
    this.#loop.yieldSoon();
  }

  #forget(): void {
    this.suspended = false;
    this.suspendedMs = Infinity;
  }
}
