/** A hook that never waits, as bodies and streams ask for it. */
import type { Trailing } from "#pipeline/body.ts";
import type { Exchange } from "#pipeline/filter.ts";
import type { ByteWindow } from "#wasm/guest/byte-window.ts";
import type { PendingReply } from "#wasm/guest/guest.ts";
import type { StreamState } from "./stream-state.ts";

/** In an action's place: the guest was ended, or none was free. */
export const FAULTED = -1;

export interface ShortRun {
  /** Of the run that ended last, when it answered ACTION_REPLY. */
  readonly reply: PendingReply | null;
  /** What the route wants in the place of a hook that failed. */
  readonly deniesFaults: boolean;
  /** Bits of the guest's hooks. */
  readonly present: number;
  /** Answers an ACTION_, or FAULTED. `last` and `direction`: as the hook of the phase takes them. */
  run(
    exchange: Exchange | null,
    position: number,
    phase: number,
    last: number,
    direction: number,
    window: ByteWindow | null,
    trailing: Trailing | null,
    stream: StreamState | null,
  ): number;
}
