/** A hook as bodies and streams ask for it. Most end within the call; one of a plugin that fetches may wait. */
import type { Trailing } from "#pipeline/body.ts";
import type { Exchange } from "#pipeline/filter.ts";
import type { ByteWindow } from "#wasm/guest/byte-window.ts";
import type { PendingReply } from "#wasm/guest/guest.ts";
import type { StreamState } from "./stream-state.ts";

/** In an action's place: the guest was ended, or none was free. */
export const FAULTED = -1;
/** The hook has not come back yet: the guest, and what it was given to look at, are its own until it has. */
export const WAITING = -2;

/** Who has asked for a hook that waits. */
export interface HookCaller {
  /** It has come back: an ACTION_, or FAULTED, in a later turn than the one it was asked in. Called once, unless it was abandoned. */
  hookEnded(action: number): void;
}

export interface WaitingHook {
  /** Null: nobody wants to know how it ends. */
  caller: HookCaller | null;
  /** What it is about has ended, and with that its guest. Nothing, when it has come back already. */
  abandon(reason: string): void;
  /** Its exchange is over, and will be another's: the hook keeps what is known of it. */
  outlive(exchange: Exchange, position: number): void;
}

export interface HookRun {
  /** Of the run that ended last, when it answered ACTION_REPLY. */
  readonly reply: PendingReply | null;
  /** The run that answered WAITING last. */
  readonly waiting: WaitingHook | null;
  /** What the route wants in the place of a hook that failed. */
  readonly deniesFaults: boolean;
  /** Bits of the guest's hooks. */
  readonly present: number;
  /** Answers an ACTION_, FAULTED or WAITING. `last` and `direction`: as the hook of the phase takes them. */
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
