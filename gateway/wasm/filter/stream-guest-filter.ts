/** A plugin as a filter of streams: its hooks for connections, bytes and the end, over a filter that holds its guests. */
import {
  CLOSE,
  type OpeningStream,
  PASS,
  type StreamEnd,
  type StreamFilter,
  type StreamTap,
} from "#pipeline/stream-filter.ts";
import { ByteWindow } from "#wasm/guest/byte-window.ts";
import { ACTION_PAUSE, ACTION_REPLY, GUEST_CONNECTION, GUEST_DATA, GUEST_END } from "#wasm/guest/hooks.ts";
import { PHASE_CONNECTION, PHASE_DATA, PHASE_END } from "#wasm/guest/phases.ts";
import type { HookFilter } from "./hook-filter.ts";
import { FAULTED, type HookRun } from "./hook-run.ts";
import { StreamState } from "./stream-state.ts";

const NOTHING = new Uint8Array(0);

export class StreamGuestFilter implements StreamFilter {
  readonly guest: HookFilter;
  readonly name: string;
  /** Of the stream whose `admits` was called last: `tap` follows at once. */
  #admitted: StreamState | null = null;

  constructor(guest: HookFilter) {
    this.guest = guest;
    this.name = guest.name;
  }

  admits(opening: OpeningStream): boolean {
    const { guest } = this;
    const state = new StreamState(opening);
    this.#admitted = state;
    if ((guest.present & GUEST_CONNECTION) === 0) return true;
    const action = guest.run(null, 0, PHASE_CONNECTION, 0, 0, null, null, state);
    return action <= FAULTED ? !guest.deniesFaults : action !== ACTION_REPLY;
  }

  tap(opening: OpeningStream): StreamTap | null {
    const { present } = this.guest;
    if ((present & (GUEST_DATA | GUEST_END)) === 0) return null;
    return new GuestTap(this.guest, this.#admitted ?? new StreamState(opening), opening.protocol === "udp");
  }
}

class GuestTap implements StreamTap {
  readonly #guest: HookRun;
  readonly #stream: StreamState;
  readonly #isUdp: boolean;
  readonly #seesBytes: boolean;
  /** What waits, by direction. */
  readonly #windows: readonly [ByteWindow, ByteWindow] = [new ByteWindow(), new ByteWindow()];
  /** The guest has failed, and the route lets the rest pass. */
  #over = false;

  constructor(guest: HookRun, stream: StreamState, isUdp: boolean) {
    this.#guest = guest;
    this.#stream = stream;
    this.#isUdp = isUdp;
    this.#seesBytes = (guest.present & GUEST_DATA) !== 0;
  }

  data(direction: 0 | 1, memory: Uint8Array, start: number, end: number, last: boolean): 0 | 1 | Uint8Array {
    const window = this.#windows[direction];
    if (!this.#seesBytes || this.#over) return PASS;
    if (!window.add(memory, start, end)) return CLOSE;
    const action = this.#guest.run(null, 0, PHASE_DATA, last ? 1 : 0, direction, window, null, this.#stream);
    if (action === ACTION_REPLY) return CLOSE;
    if (action <= FAULTED) {
      if (this.#guest.deniesFaults) return CLOSE;
      this.#over = true;
    }
    if (action === ACTION_PAUSE && !last) {
      // A datagram can't wait for the next one: it is dropped.
      if (this.#isUdp) window.clear();
      else window.own();
      return NOTHING;
    }
    const made = window.owned ? window.memory.slice(window.start, window.end) : PASS;
    window.clear();
    return made;
  }

  closed(end: StreamEnd): void {
    this.#stream.ended = end;
    for (const window of this.#windows) window.clear();
    if ((this.#guest.present & GUEST_END) !== 0) this.#guest.run(null, 0, PHASE_END, 0, 0, null, null, this.#stream);
  }
}
