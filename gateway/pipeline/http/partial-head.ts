/**
 * A request head that comes in pieces. A dripping head is only searched for its end, which costs no more than its bytes,
 * and parsed once, when it is whole.
 */
import { findHeadEnd } from "#http/h1/find-head-end.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import type { Head } from "#http/head.ts";
import type { HeadLimits } from "#http/limits.ts";
import { REFUSED_HEAD_LENGTH } from "#http/refusals.ts";
import { Carry } from "#net/carry.ts";
import type { Buffers } from "#pipeline/runtime.ts";

export class PartialHead {
  readonly #buffers: Buffers;
  readonly #carry: Carry;
  /** A head must be whole by then; in the loop's milliseconds. */
  readonly deadlineMs: number;
  /** Offset behind the head in the region that completed it. */
  next = 0;
  #complete = false;

  constructor(buffers: Buffers, deadlineMs: number) {
    this.#buffers = buffers;
    this.#carry = new Carry(buffers);
    this.deadlineMs = deadlineMs;
  }

  /** The first piece. False when there is no buffer for it. */
  begin(start: number, end: number): boolean {
    return this.#carry.append(start, end) >= 0;
  }

  /** True when `parse` can tell something now. */
  add(start: number, end: number, limits: HeadLimits): boolean {
    const carry = this.#carry;
    const before = carry.end;
    const copied = carry.append(start, end);
    this.#complete = copied === end - start;
    this.next = start - before;
    const whole = findHeadEnd(this.#buffers.memory, Math.max(carry.start, before - 3), carry.end) >= 0;
    return whole || !this.#complete || carry.end - carry.start > limits.headBytesMax;
  }

  /** As `parseRequestHead`: above 0 `next` is valid, and `detach` gives the head's buffer. */
  parse(request: Head, limits: HeadLimits): number {
    const carry = this.#carry;
    const parsed = parseRequestHead(request, carry.start, carry.end, limits);
    if (parsed > 0) this.next += parsed;
    return parsed === 0 && !this.#complete ? REFUSED_HEAD_LENGTH : parsed;
  }

  /** Its one reference passes to the caller. */
  detach(): number {
    return this.#carry.detach();
  }

  clear(): void {
    this.#carry.clear();
  }
}
