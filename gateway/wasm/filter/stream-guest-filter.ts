/** A plugin as a filter of streams: its hooks for connections, bytes and the end, over a filter that holds its guests. */
import {
  type OpeningStream,
  type PendingAdmission,
  type StreamFilter,
  type StreamTap,
} from "#pipeline/stream-filter.ts";
import { ACTION_REPLY, GUEST_CONNECTION, GUEST_DATA, GUEST_END } from "#wasm/guest/hooks.ts";
import { PHASE_CONNECTION } from "#wasm/guest/phases.ts";
import { GuestTap } from "./guest-tap.ts";
import type { HookFilter } from "./hook-filter.ts";
import { FAULTED, WAITING, type WaitingHook } from "./hook-run.ts";
import { StreamState } from "./stream-state.ts";

export class StreamGuestFilter implements StreamFilter {
  readonly guest: HookFilter;
  readonly name: string;
  /** Of the stream that was admitted last: `tap` follows at once. */
  #admitted: StreamState | null = null;

  constructor(guest: HookFilter) {
    this.guest = guest;
    this.name = guest.name;
  }

  admits(opening: OpeningStream): boolean | PendingAdmission {
    const { guest } = this;
    const state = new StreamState(opening);
    this.#admitted = state;
    if ((guest.present & GUEST_CONNECTION) === 0) return true;
    const action = guest.run(null, 0, PHASE_CONNECTION, 0, 0, null, null, state);
    if (action !== WAITING || guest.waiting === null) return this.#judge(action);
    return this.#pending(guest.waiting, state);
  }

  tap(opening: OpeningStream): StreamTap | null {
    const { present } = this.guest;
    if ((present & (GUEST_DATA | GUEST_END)) === 0) return null;
    return new GuestTap(this.guest, this.#admitted ?? new StreamState(opening), opening.protocol === "udp");
  }

  #judge(action: number): boolean {
    return action === FAULTED ? !this.guest.deniesFaults : action !== ACTION_REPLY;
  }

  #pending(hook: WaitingHook, state: StreamState): PendingAdmission {
    const pending: PendingAdmission = { onDecided: null, abandon: () => hook.abandon("its stream has ended") };
    hook.caller = {
      hookEnded: (action) => {
        this.#admitted = state;
        pending.onDecided?.(this.#judge(action));
      },
    };
    return pending;
  }
}
