/**
 * The bytes of one stream on their way through a guest, in both directions. What the guest lets go at once passes as it came. A hook
 * that waits keeps what it looks at; what comes meanwhile waits behind it, while the source is stopped, and has its turn when it has come back.
 *
 * Datagrams are not put together: one that the guest does not let go is dropped. While a hook waits a few more are kept, in order, up
 * to a bound; what comes beyond is lost, as in a full socket.
 */
import { defined } from "#core/assert.ts";
import {
  CLOSE,
  HOLD,
  PASS,
  type StreamEnd,
  type StreamLine,
  type StreamTap,
  type TapVerdict,
} from "#pipeline/stream-filter.ts";
import { ByteWindow } from "#wasm/guest/byte-window.ts";
import { ACTION_PAUSE, ACTION_REPLY, GUEST_DATA, GUEST_END } from "#wasm/guest/hooks.ts";
import { PHASE_DATA, PHASE_END } from "#wasm/guest/phases.ts";
import { FAULTED, type HookCaller, type HookRun, WAITING, type WaitingHook } from "./hook-run.ts";
import type { StreamState } from "./stream-state.ts";

const NOTHING = new Uint8Array(0);

/** Of one direction of a UDP session: a burst. */
const LATE_DATAGRAMS_MAX = 16;
const LATE_DATAGRAM_BYTES_MAX = 64 * 1024;

/** What both directions share. */
interface TapOwner {
  readonly guest: HookRun;
  readonly stream: StreamState;
  readonly isUdp: boolean;
  readonly line: StreamLine;
  /** The guest has failed, and the route lets the rest pass. */
  over: boolean;
}

export class GuestTap implements StreamTap, TapOwner {
  readonly guest: HookRun;
  readonly stream: StreamState;
  readonly isUdp: boolean;
  readonly #seesBytes: boolean;
  readonly #directions: readonly [Direction, Direction];
  #line: StreamLine | null = null;
  over = false;

  constructor(guest: HookRun, stream: StreamState, isUdp: boolean) {
    this.guest = guest;
    this.stream = stream;
    this.isUdp = isUdp;
    this.#seesBytes = (guest.present & GUEST_DATA) !== 0;
    this.#directions = [new Direction(this, 0), new Direction(this, 1)];
  }

  get line(): StreamLine {
    return defined(this.#line, "a stream that moves");
  }

  attached(line: StreamLine): void {
    this.#line = line;
  }

  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    return this.#seesBytes ? this.#directions[direction].data(memory, start, end, last) : PASS;
  }

  closed(end: StreamEnd): void {
    this.stream.ended = end;
    for (const direction of this.#directions) direction.close();
    if ((this.guest.present & GUEST_END) !== 0) this.guest.run(null, 0, PHASE_END, 0, 0, null, null, this.stream);
  }
}

class Direction implements HookCaller {
  readonly #owner: TapOwner;
  readonly #direction: 0 | 1;
  /** What the guest looks at, or waits for more of. */
  readonly #window = new ByteWindow();
  #hook: WaitingHook | null = null;
  readonly #late: Uint8Array[] = [];
  #lateBytes = 0;
  #paused = false;
  /** Nothing more comes, and the line waits to be told that the guest has seen it. */
  #endHeld = false;
  #lastAsked = false;
  #closed = false;

  constructor(owner: TapOwner, direction: 0 | 1) {
    this.#owner = owner;
    this.#direction = direction;
  }

  data(memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    if (this.#hook !== null) return this.#keep(memory, start, end, last);
    if (this.#owner.over) return PASS;
    if (!this.#window.add(memory, start, end)) return CLOSE;
    const action = this.#ask(last);
    if (action === WAITING) return this.#waits(last);
    return this.#judge(action, last);
  }

  /** The hook that waited has come back. */
  hookEnded(action: number): void {
    this.#hook = null;
    if (this.#closed) return;
    this.#passOn(this.#judge(action, this.#lastAsked));
    while (this.#hook === null && !this.#closed) {
      const bytes = this.#late.shift();
      if (bytes === undefined) break;
      this.#lateBytes -= bytes.length;
      this.#passOn(this.data(bytes, 0, bytes.length, false), bytes);
    }
    if (this.#hook !== null || this.#closed) return;
    if (this.#endHeld && !this.#lastAsked) this.#passOn(this.data(NOTHING, 0, 0, true));
    if (this.#hook !== null || this.#closed) return;
    if (this.#endHeld) {
      this.#endHeld = false;
      this.#owner.line.end(this.#direction);
    }
    if (!this.#closed && this.#paused) {
      this.#paused = false;
      this.#owner.line.resume(this.#direction);
    }
  }

  close(): void {
    this.#closed = true;
    this.#hook?.abandon("its stream has ended");
    this.#hook = null;
    this.#late.length = 0;
    this.#window.clear();
  }

  #ask(last: boolean): number {
    const { guest, stream } = this.#owner;
    this.#lastAsked = last;
    const action = guest.run(null, 0, PHASE_DATA, last ? 1 : 0, this.#direction, this.#window, null, stream);
    if (action === WAITING) this.#hook = guest.waiting;
    if (action === WAITING && this.#hook !== null) this.#hook.caller = this;
    return action;
  }

  #waits(last: boolean): TapVerdict {
    this.#window.own();
    if (!this.#paused && !last) {
      this.#paused = true;
      this.#owner.line.pause(this.#direction);
    }
    return this.#held(last);
  }

  #held(last: boolean): TapVerdict {
    if (last) this.#endHeld = true;
    return last || this.#owner.isUdp ? HOLD : NOTHING;
  }

  /** Bytes that come while a hook waits. */
  #keep(memory: Uint8Array, start: number, end: number, last: boolean): TapVerdict {
    const bytes = end - start;
    const isFull = this.#late.length >= LATE_DATAGRAMS_MAX || this.#lateBytes + bytes > LATE_DATAGRAM_BYTES_MAX;
    if (this.#owner.isUdp && isFull) return NOTHING;
    if (bytes > 0) this.#late.push(memory.slice(start, end));
    this.#lateBytes += bytes;
    return this.#held(last);
  }

  /** What becomes of the window. */
  #judge(action: number, last: boolean): TapVerdict {
    const window = this.#window;
    const { guest, isUdp } = this.#owner;
    if (action === ACTION_REPLY) return CLOSE;
    if (action === FAULTED) {
      if (guest.deniesFaults) return CLOSE;
      this.#owner.over = true;
    }
    if (action === ACTION_PAUSE && !last) {
      // A datagram can't wait for the next one: it is dropped.
      if (isUdp) window.clear();
      else window.own();
      return NOTHING;
    }
    const made = window.owned ? window.memory.slice(window.start, window.end) : PASS;
    window.clear();
    return made;
  }

  /** By the line, what a call of `data` would have answered with. `bytes`: what PASS stands for. */
  #passOn(verdict: TapVerdict, bytes: Uint8Array = NOTHING): void {
    if (verdict === CLOSE) this.#owner.line.close();
    else if (verdict !== HOLD) {
      const made = verdict === PASS ? bytes : verdict;
      // A datagram of no bytes is one that is dropped: the line counts it.
      if (made.length > 0 || this.#owner.isUdp) this.#owner.line.send(this.#direction, made);
    }
  }
}
