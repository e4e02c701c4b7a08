/**
 * A plugin that can wait for a fetch. A suspended guest could be entered again, which no plugin is written for, so each
 * exchange has a guest to itself while a hook runs; idle ones wait in a pool.
 *
 * The engine is answered SUSPEND at once and resumed when the hook has ended, by a microtask when it did not wait.
 * The exchange's record holds the running call, so that the end of the exchange can end it. Hooks of bodies, ends and the like do
 * not wait: any idle guest serves.
 */
import { CONTINUE, type Exchange, HOOK_END, REPLY, SUSPEND, type Verdict } from "#pipeline/filter.ts";
import { ADMIT } from "#pipeline/tenant.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { ACTION_CONTINUE, ACTION_PAUSE, GUEST_REQUEST_HEAD, GUEST_RESPONSE_HEAD } from "#wasm/guest/hooks.ts";
import { type ExchangeRecord, recordOf, type WaitingCall } from "#wasm/guest/kept.ts";
import { suspendable } from "#wasm/guest/entries.ts";
import { PHASE_DEAD, PHASE_REQUEST, PHASE_RESPONSE } from "#wasm/guest/phases.ts";
import { HookFilter } from "./hook-filter.ts";

/** Guests of one filter that may wait at once. Each holds a page or more of memory, and a stack of its own. */
export const SUSPENDED_MAX = 256;
/** Idle guests kept for the next requests. */
const IDLE_MAX = 32;

interface Call extends WaitingCall {
  readonly guest: Guest;
  /** Its exchange ended while it waited: it is of no more use when it comes back. */
  abandoned: boolean;
}

type Hook = () => Promise<unknown>;

interface Pooled {
  readonly guest: Guest;
  readonly onRequest: Hook;
  readonly onResponse: Hook;
}

export class SuspendingFilter extends HookFilter {
  readonly #idle: Pooled[] = [];
  #running = 0;
  /** The guest of a hook that does not wait, while it runs. */
  #short: Pooled | null = null;
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
    const call = (record?.waiting ?? null) as Call | null;
    if (record !== null && record !== undefined && call !== null) {
      record.waiting = null;
      call.exchange = null;
      call.abandoned = true;
      call.guest.fail("its exchange has ended");
      this.stats.abandoned++;
    }
    this.runEnd(exchange, position);
  }

  override dispose(): void {
    super.dispose();
    this.#disposed = true;
    for (let entry = this.#idle.pop(); entry !== undefined; entry = this.#idle.pop()) this.retire();
  }

  protected override takeIdle(): Guest | null {
    this.#short = this.#idleOrNew();
    return this.#short?.guest ?? null;
  }

  protected override settle(guest: Guest): boolean {
    const entry = this.#short;
    this.#short = null;
    return entry !== null && entry.guest === guest && this.#giveBack(entry);
  }

  protected override discard(guest: Guest, error: unknown): void {
    this.#short = null;
    this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
    this.guestFaulted(guest, error);
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
    return entry;
  }

  /** Counts the fuel; keeps the guest if it is whole and there is room. False when it had been ended. */
  #giveBack(entry: Pooled): boolean {
    const { guest } = entry;
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
    const call: Call = { guest, exchange, abandoned: false };
    this.stats.calls++;
    this.#running++;
    guest.begin(exchange, phase);
    guest.position = position;
    guest.startedMs = this.environment.services.nowMs();
    guest.onDeadline = () => this.#failed(call, position, null);
    recordOf(exchange, position).waiting = call;
    const hook = phase === PHASE_REQUEST ? entry.onRequest : entry.onResponse;
    hook().then(
      (action) => this.#ended(entry, call, position, phase, Number(action)),
      (error: unknown) => {
        this.#stopped(call);
        this.#failed(call, position, error);
      },
    );
    return SUSPEND;
  }

  /** The guest's stack is gone. */
  #stopped({ abandoned }: Call): void {
    this.#running--;
    this.tenant.suspended.give();
    if (abandoned) this.retire();
  }

  #ended(entry: Pooled, call: Call, position: number, phase: number, action: number): void {
    this.#stopped(call);
    const { exchange, guest } = call;
    if (exchange === null) return; // it was ended with its exchange, or answered at its deadline
    const skips = guest.skipsBody;
    const goesOn = action === ACTION_CONTINUE || (action === ACTION_PAUSE && this.mayPause(phase));
    const verdict = goesOn || guest.phase === PHASE_DEAD ? CONTINUE : this.verdict(guest, exchange, action);
    if (guest.phase === PHASE_DEAD) {
      this.#failed(call, position, null);
      return;
    }
    call.exchange = null;
    recordOf(exchange, position).waiting = null;
    this.#giveBack(entry);
    const next = verdict === REPLY ? REPLY : this.follow(exchange, position, phase, action, skips);
    if (next !== SUSPEND) exchange.resume(next);
  }

  #failed(call: Call, position: number, error: unknown): void {
    const { exchange, guest } = call;
    if (exchange === null) return;
    call.exchange = null;
    recordOf(exchange, position).waiting = null;
    this.spent(guest, guest.fuelLimit - Math.max(0, guest.fuelLeft()));
    this.guestFaulted(guest, error);
    exchange.resume(this.answerFault(exchange));
  }
}

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
