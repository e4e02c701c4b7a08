/**
 * A plugin that can wait for a fetch. A suspended guest could be entered again, which no plugin is written for, so each
 * hook has a guest to itself while it runs; idle ones wait in a pool.
 *
 * A head's hook answers the engine SUSPEND at once, and resumes it when it has ended, by a microtask when it did not wait. The
 * exchange's record holds the running call, so that the end of the exchange can end it. All other hooks end within the call if
 * they do not wait (`suspendable.ts`); else they answer WAITING, and whoever has asked for them is told, or abandons them.
 */
import { CONTINUE, type Exchange, HOOK_END, REPLY, SUSPEND, type Verdict } from "#pipeline/filter.ts";
import { ADMIT } from "#pipeline/tenant.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { ACTION_CONTINUE, ACTION_PAUSE, GUEST_REQUEST_HEAD, GUEST_RESPONSE_HEAD } from "#wasm/guest/hooks.ts";
import { suspendable } from "#wasm/guest/entries.ts";
import { type ExchangeRecord, recordOf } from "#wasm/guest/kept.ts";
import { PHASE_DEAD, PHASE_REQUEST, PHASE_RESPONSE } from "#wasm/guest/phases.ts";
import { beginHook, beginInterposed, type CallRecord } from "#wasm/guest/suspendable.ts";
import { EndedExchange } from "./ended-exchange.ts";
import { HookFilter } from "./hook-filter.ts";
import { FAULTED, type HookCaller, WAITING, type WaitingHook } from "./hook-run.ts";

/** Guests of one filter that may wait at once. Each holds a page or more of memory, and a stack of its own. */
export const SUSPENDED_MAX = 256;
/** Idle guests kept for the next requests. */
const IDLE_MAX = 32;

type Hook = () => Promise<unknown>;

interface Pooled {
  readonly guest: Guest;
  readonly onRequest: Hook;
  readonly onResponse: Hook;
}

/** A hook from its beginning until the guest's stack is gone. */
class Call implements CallRecord, WaitingHook {
  readonly #filter: SuspendingFilter;
  readonly entry: Pooled;
  caller: HookCaller | null = null;
  ended = false;
  action = ACTION_CONTINUE;
  /** Its caller has been told, or does not want to be: when it comes back, that is of no more use. */
  over = false;
  /** Given up before it was over: nobody has counted its guest out yet. */
  abandoned = false;

  constructor(filter: SuspendingFilter, entry: Pooled) {
    this.#filter = filter;
    this.entry = entry;
  }

  abandon(reason: string): void {
    if (!this.over) this.#filter.abandon(this, reason);
  }

  outlive(exchange: Exchange, position: number): void {
    const { guest } = this.entry;
    if (guest.exchange === exchange) guest.exchange = new EndedExchange(exchange, position);
  }
}

export class SuspendingFilter extends HookFilter {
  readonly #idle: Pooled[] = [];
  #running = 0;
  /** The guest whose hook begins, or ends, just now. */
  #current: Pooled | null = null;
  #disposed = false;

  /** The first guest. Throws PenstockError when the plugin does not accept its configuration. */
  prepare(): void {
    const guest = this.makeGuest();
    this.learn(guest);
    // The end of an exchange always matters here: a guest may still be waiting on its behalf.
    this.hooks |= HOOK_END;
    this.#idle.push(pooled(guest));
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    return this.#run(exchange, position, PHASE_REQUEST);
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    return this.#run(exchange, position, PHASE_RESPONSE);
  }

  override end(exchange: Exchange, position: number): void {
    const record = exchange.state[position] as ExchangeRecord | null | undefined;
    if (record !== null && record !== undefined) {
      record.waiting?.abandon("its exchange has ended");
      record.waiting = null;
    }
    this.runEnd(exchange, position);
  }

  /** What still waits (ticks, messages, ends of exchanges) goes on, for as long as its deadline lets it. */
  override dispose(): void {
    super.dispose();
    this.#disposed = true;
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) this.retire();
  }

  /** For a call: nobody waits for it any more. */
  abandon(call: Call, reason: string): void {
    const { guest } = call.entry;
    call.over = true;
    call.abandoned = true;
    this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
    guest.fail(reason);
    // Its stack unwinds by microtasks.
    setImmediate(nothing);
    this.stats.abandoned++;
  }

  protected override takeIdle(): Guest | null {
    this.#current = this.#take();
    return this.#current?.guest ?? null;
  }

  protected override enter(guest: Guest, phase: number, last: number, direction: number): number {
    const call = new Call(this, this.#current as Pooled);
    guest.startedMs = this.environment.services.nowMs();
    const begin = this.interposed ? beginInterposed : beginHook;
    const over = begin(guest.hooks, phase, last, direction, call);
    if (call.ended) return call.action;
    this.#current = null;
    this.waiting = call;
    guest.onDeadline = () => this.#failed(call, null);
    over.then(
      () => this.#returned(call),
      (error: unknown) => {
        this.#stopped(call);
        this.#failed(call, error);
      },
    );
    // One that has trapped tells so by a microtask, which the loop must not sleep in front of.
    setImmediate(nothing);
    return WAITING;
  }

  protected override settle(guest: Guest): boolean {
    const entry = this.#current;
    this.#current = null;
    return entry !== null && entry.guest === guest && this.#giveBack(entry);
  }

  protected override discard(guest: Guest, error: unknown): void {
    this.#current = null;
    this.#release();
    this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
    this.guestFaulted(guest, error);
  }

  /** A hook that has waited has come back. */
  #returned(call: Call): void {
    if (call.over) {
      this.#stopped(call);
      return;
    }
    call.over = true;
    this.#current = call.entry;
    const action = this.conclude(call.entry.guest, call.action);
    call.caller?.hookEnded(action);
  }

  #idleOrNew(): Pooled | null {
    const entry = this.#idle.pop();
    if (entry !== undefined) return entry;
    const guest = this.#disposed ? null : this.tryMakeGuest();
    return guest === null ? null : pooled(guest);
  }

  /** Takes one of the calls that may be under way at one time, of this filter and of the tenant. */
  #take(): Pooled | null {
    if (this.#running >= SUSPENDED_MAX || !this.tenant.suspended.take()) return null;
    const entry = this.#idleOrNew();
    if (entry === null) this.tenant.suspended.give();
    else this.#running++;
    return entry;
  }

  #release(): void {
    this.#running--;
    this.tenant.suspended.give();
  }

  /** Counts the fuel; keeps the guest if it is whole and there is room. False when it had been ended. */
  #giveBack(entry: Pooled): boolean {
    const { guest } = entry;
    this.#release();
    if (guest.phase === PHASE_DEAD) {
      this.guestFaulted(guest, null);
      return false;
    }
    this.spent(guest, guest.fuelUsed());
    guest.finish();
    const isClean = !this.isolates || guest.putBack();
    if (isClean && this.#idle.length < IDLE_MAX && !this.#disposed) this.#idle.push(entry);
    else this.retire();
    return true;
  }

  #run(exchange: Exchange, position: number, phase: number): Verdict {
    const admission = this.tenant.admit();
    if (admission !== ADMIT) return this.notAdmitted(admission, exchange, () => this.#run(exchange, position, phase));
    const entry = this.#take();
    if (entry === null) {
      this.stats.skipped++;
      return this.answerFault(exchange);
    }
    const { guest } = entry;
    const call = new Call(this, entry);
    call.caller = { hookEnded: () => this.#headFailed(exchange, position) };
    this.stats.calls++;
    guest.begin(exchange, phase);
    guest.position = position;
    guest.startedMs = this.environment.services.nowMs();
    guest.onDeadline = () => this.#failed(call, null);
    recordOf(exchange, position).waiting = call;
    const hook = phase === PHASE_REQUEST ? entry.onRequest : entry.onResponse;
    hook().then(
      (action) => this.#headEnded(call, exchange, position, phase, Number(action)),
      (error: unknown) => {
        this.#stopped(call);
        this.#failed(call, error);
      },
    );
    return SUSPEND;
  }

  /** The guest's stack is gone, of a call that is over or has trapped. */
  #stopped({ abandoned }: Call): void {
    this.#release();
    if (abandoned) this.retire();
  }

  #headEnded(call: Call, exchange: Exchange, position: number, phase: number, action: number): void {
    const { entry, over } = call;
    const { guest } = entry;
    if (over) {
      this.#stopped(call); // it was ended with its exchange, or answered at its deadline
      return;
    }
    const skips = guest.skipsBody;
    const goesOn = action === ACTION_CONTINUE || (action === ACTION_PAUSE && this.mayPause(phase));
    const verdict = goesOn || guest.phase === PHASE_DEAD ? CONTINUE : this.verdict(guest, exchange, action);
    if (guest.phase === PHASE_DEAD) {
      this.#stopped(call);
      this.#failed(call, null);
      return;
    }
    call.over = true;
    recordOf(exchange, position).waiting = null;
    this.#giveBack(entry);
    const next = verdict === REPLY ? REPLY : this.follow(exchange, position, phase, action, skips);
    if (next !== SUSPEND) exchange.resume(next);
  }

  #headFailed(exchange: Exchange, position: number): void {
    recordOf(exchange, position).waiting = null;
    exchange.resume(this.answerFault(exchange));
  }

  /** It has trapped, was ended by the host, or its deadline has passed. */
  #failed(call: Call, error: unknown): void {
    if (call.over) return;
    const { guest } = call.entry;
    call.over = true;
    this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
    this.guestFaulted(guest, error);
    call.caller?.hookEnded(FAULTED);
  }
}

const nothing = (): void => undefined;

function pooled(guest: Guest): Pooled {
  const { present, requestHead, responseHead } = guest.hooks;
  return {
    guest,
    onRequest: (present & GUEST_REQUEST_HEAD) === 0 ? absentHook : suspendable(requestHead),
    onResponse: (present & GUEST_RESPONSE_HEAD) === 0 ? absentHook : suspendable(responseHead),
  };
}

function absentHook(): Promise<number> {
  return Promise.resolve(ACTION_CONTINUE);
}
