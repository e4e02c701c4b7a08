/**
 * All hooks but those of heads, for both kinds of filter: bodies, the end, the clock, messages, streams. Any guest of the filter
 * serves, one hook at a time; what belongs to one exchange is kept by the host (`exchange_put`). They end within the call, or, in a
 * filter whose plugin can wait, answer WAITING and tell their caller later.
 */
import { FRAMING_LENGTH, FRAMING_NONE, type Head } from "#http/head.ts";
import { type LengthEffect, SAME_LENGTH, type Trailing, UNKNOWN_LENGTH } from "#pipeline/body.ts";
import {
  CONTINUE,
  type Exchange,
  HOOK_END,
  HOOK_REQUEST_HEAD,
  HOOK_RESPONSE_HEAD,
  REPLY,
  SUSPEND,
  type Verdict,
} from "#pipeline/filter.ts";
import { REFUSE } from "#pipeline/tenant.ts";
import type { PluginSpec } from "#snapshot/snapshot.ts";
import { ByteWindow } from "#wasm/guest/byte-window.ts";
import type { GuestEnvironment } from "#wasm/guest/environment.ts";
import type { Guest, PendingReply } from "#wasm/guest/guest.ts";
import {
  ACTION_CONTINUE,
  ACTION_PAUSE,
  ACTION_REPLY,
  GUEST_END,
  GUEST_MESSAGE,
  GUEST_REQUEST_BODY,
  GUEST_REQUEST_CONTENT,
  GUEST_REQUEST_HEAD,
  GUEST_RESPONSE_BODY,
  GUEST_RESPONSE_CONTENT,
  GUEST_RESPONSE_HEAD,
  GUEST_TICK,
} from "#wasm/guest/hooks.ts";
import {
  PHASE_DEAD,
  PHASE_END,
  PHASE_MESSAGE,
  PHASE_REQUEST,
  PHASE_REQUEST_BODY,
  PHASE_RESPONSE_BODY,
  PHASE_TICK,
} from "#wasm/guest/phases.ts";
import { recordOf } from "#wasm/guest/kept.ts";
import type { Interposer, LoadedModule } from "#wasm/guest/runtime.ts";
import { GuestBodyStage } from "./guest-body-stage.ts";
import { invoke } from "./invoke.ts";
import { FAULTED, type HookCaller, type HookRun, WAITING, type WaitingHook } from "./hook-run.ts";
import type { StreamState } from "./stream-state.ts";
import { WasmFilter } from "./wasm-filter.ts";

const CONTENT = GUEST_REQUEST_CONTENT | GUEST_RESPONSE_CONTENT;

export abstract class HookFilter extends WasmFilter implements HookRun {
  override hooks = 0;
  present = 0;
  reply: PendingReply | null = null;
  waiting: WaitingHook | null = null;
  readonly deniesFaults: boolean;
  readonly #lengthEffect: LengthEffect;
  #stopTicking: (() => void) | null = null;
  /** The last tick's hook still waits: the clock does not add another. */
  #ticking = false;

  constructor(plugin: PluginSpec, loaded: LoadedModule, environment: GuestEnvironment, interposer: Interposer | null) {
    super(plugin, loaded, environment, interposer);
    this.deniesFaults = environment.spec.onFault === "deny";
    this.#lengthEffect = loaded.calls.some((call) => call.changesBody) ? UNKNOWN_LENGTH : SAME_LENGTH;
  }

  /** A guest for one hook, or null. Then `settle` or `discard` has it back. */
  protected abstract takeIdle(): Guest | null;
  /** Its hook has come back. False: it had been ended meanwhile. */
  protected abstract settle(guest: Guest): boolean;
  /** Its hook has not. */
  protected abstract discard(guest: Guest, error: unknown): void;

  override dispose(): void {
    this.#stopTicking?.();
    this.#stopTicking = null;
  }

  /** The first guest tells which hooks there are, and whether it wants to hear of the time. */
  protected learn({ hooks: { present }, tickMs }: Guest): void {
    this.present = present;
    this.hooks =
      ((present & (GUEST_REQUEST_HEAD | GUEST_REQUEST_CONTENT)) === 0 ? 0 : HOOK_REQUEST_HEAD) |
      ((present & (GUEST_RESPONSE_HEAD | GUEST_RESPONSE_CONTENT)) === 0 ? 0 : HOOK_RESPONSE_HEAD) |
      // Who sees bodies may ask for the request's head then: an end hook makes the engine keep it.
      ((present & (GUEST_END | CONTENT)) === 0 ? 0 : HOOK_END);
    if (tickMs === 0 || (present & GUEST_TICK) === 0) return;
    this.#stopTicking = this.environment.services.every?.(tickMs, () => this.#tick()) ?? null;
  }

  #tick(): void {
    if (this.#ticking || this.run(null, 0, PHASE_TICK, 0, 0, null, null, null) !== WAITING) return;
    this.#ticking = true;
    this.tellWhenOver(() => {
      this.#ticking = false;
    });
  }

  /** The hook that has just answered WAITING. */
  protected tellWhenOver(hookEnded: HookCaller["hookEnded"]): void {
    if (this.waiting !== null) this.waiting.caller = { hookEnded };
  }

  run(
    exchange: Exchange | null,
    position: number,
    phase: number,
    last: number,
    direction: number,
    window: ByteWindow | null,
    trailing: Trailing | null,
    stream: StreamState | null,
  ): number {
    // A hook in the middle of a body or a stream can't be put off: its turn was granted with the first.
    if (this.tenant.admit() === REFUSE) {
      this.stats.throttled++;
      return FAULTED;
    }
    const guest = this.takeIdle();
    if (guest === null) {
      this.stats.skipped++;
      return FAULTED;
    }
    guest.window = window;
    guest.trailing = trailing;
    guest.stream = stream;
    guest.streamEnd = stream === null ? null : stream.ended;
    return this.#runIn(guest, exchange, position, phase, last, direction);
  }

  #runIn(
    guest: Guest,
    exchange: Exchange | null,
    position: number,
    phase: number,
    last: number,
    direction: number,
  ): number {
    this.stats.calls++;
    let action: number;
    try {
      guest.begin(exchange, phase);
      guest.position = position;
      action = this.enter(guest, phase, last, direction);
    } catch (error) {
      this.discard(guest, error);
      return FAULTED;
    }
    return action === WAITING ? WAITING : this.conclude(guest, action);
  }

  /** Runs the hook of a phase in a guest that has begun it. */
  protected enter(guest: Guest, phase: number, last: number, direction: number): number {
    return invoke(guest.hooks, phase, last, direction);
  }

  /** A hook has come back with what it answers. */
  protected conclude(guest: Guest, action: number): number {
    this.reply = guest.pendingReply;
    if (guest.phase !== PHASE_DEAD && (action < ACTION_CONTINUE || action > ACTION_PAUSE)) {
      guest.fail(`a hook answered ${action}`);
    }
    return this.settle(guest) ? action : FAULTED;
  }

  override message(message: Uint8Array): Uint8Array | null | Promise<Uint8Array | null> {
    const guest = (this.present & GUEST_MESSAGE) === 0 ? null : this.takeIdle();
    if (guest === null) return null;
    guest.message = message;
    guest.answer = null;
    const action = this.#runIn(guest, null, 0, PHASE_MESSAGE, 0, 0);
    if (action !== WAITING) return answerOf(guest, action);
    return new Promise((resolve) => this.tellWhenOver((later) => resolve(answerOf(guest, later))));
  }

  protected runEnd(exchange: Exchange, position: number): void {
    if ((this.present & GUEST_END) === 0) return;
    const action = this.run(exchange, position, PHASE_END, 0, 0, null, null, null);
    if (action === WAITING) this.waiting?.outlive(exchange, position);
  }

  /**
   * After a head hook that answered CONTINUE or PAUSE: the body goes through the guest where it has hooks for it. `skips`: not
   * this one. SUSPEND: a hook of the body will decide.
   */
  protected follow(exchange: Exchange, position: number, phase: number, action: number, skips: boolean): Verdict {
    const isRequest = phase === PHASE_REQUEST;
    const wanted = isRequest ? GUEST_REQUEST_CONTENT : GUEST_RESPONSE_CONTENT;
    if ((this.present & wanted) === 0 || skips) return CONTINUE;
    const holds = action === ACTION_PAUSE;
    if (!hasBody(isRequest ? exchange.request : exchange.response)) {
      return holds ? this.#decideWithoutBody(exchange, position, isRequest) : CONTINUE;
    }
    const stage = new GuestBodyStage(this, exchange, position, isRequest, holds);
    if (isRequest) exchange.filterRequestBody(stage, this.#lengthEffect);
    else exchange.filterResponseBody(stage, this.#lengthEffect);
    return holds ? SUSPEND : CONTINUE;
  }

  /** It wants to see the body before it decides, and there is none: it is shown that. */
  #decideWithoutBody(exchange: Exchange, position: number, isRequest: boolean): Verdict {
    const window = new ByteWindow();
    window.headWaits = true;
    const phase = isRequest ? PHASE_REQUEST_BODY : PHASE_RESPONSE_BODY;
    const action = this.run(exchange, position, phase, 1, 0, window, null, null);
    if (action !== WAITING) return this.#decided(exchange, action);
    const record = recordOf(exchange, position);
    record.waiting = this.waiting;
    this.tellWhenOver((later) => {
      record.waiting = null;
      exchange.resume(this.#decided(exchange, later));
    });
    return SUSPEND;
  }

  #decided(exchange: Exchange, action: number): Verdict {
    if (action === FAULTED) return this.answerFault(exchange);
    const { reply } = this;
    if (action !== ACTION_REPLY || reply === null) return CONTINUE;
    exchange.respond(reply.status, reply.headers, reply.body);
    return REPLY;
  }

  /** A head hook may leave the decision to the hook of the body. */
  protected mayPause(phase: number): boolean {
    return (this.present & (phase === PHASE_REQUEST ? GUEST_REQUEST_BODY : GUEST_RESPONSE_BODY)) !== 0;
  }
}

/** What a message's sender is answered. */
function answerOf(guest: Guest, action: number): Uint8Array | null {
  const { answer } = guest;
  guest.message = null;
  guest.answer = null;
  return action === FAULTED ? null : (answer ?? new Uint8Array(0));
}

function hasBody({ framing, contentLength }: Head): boolean {
  return framing !== FRAMING_NONE && (framing !== FRAMING_LENGTH || contentLength > 0);
}
