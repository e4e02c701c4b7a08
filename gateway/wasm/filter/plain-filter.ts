/**
 * A plugin that never waits: one guest, whose hooks run to their end inside the engine's call. After a fault the next
 * guest is made when the engine's turn is over, or by the next request if that comes first.
 *
 * This is the path of every request through a plugin: no allocation, no strings, three calls into the module (fuel in,
 * hook, fuel out) of about 7 ns each.
 */
import { CONTINUE, type Exchange, REPLY, type Verdict } from "#pipeline/filter.ts";
import { ADMIT } from "#pipeline/tenant.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { ACTION_CONTINUE, ACTION_PAUSE, GUEST_REQUEST_CONTENT, GUEST_RESPONSE_CONTENT } from "#wasm/guest/hooks.ts";
import { PHASE_DEAD, PHASE_IDLE, PHASE_REQUEST, PHASE_RESPONSE } from "#wasm/guest/phases.ts";
import { HookFilter } from "./hook-filter.ts";

export class PlainFilter extends HookFilter {
  #guest: Guest | null = null;
  #replacing = false;
  #disposed = false;
  /** There are hooks for bodies: head hooks have to see to them. */
  #followsRequest = false;
  #followsResponse = false;

  /** The first guest. Throws PenstockError when the plugin does not accept its configuration. */
  prepare(): void {
    const guest = this.makeGuest();
    this.learn(guest);
    this.#followsRequest = (this.present & GUEST_REQUEST_CONTENT) !== 0;
    this.#followsResponse = (this.present & GUEST_RESPONSE_CONTENT) !== 0;
    this.#guest = guest;
  }

  override requestHead(exchange: Exchange, position: number): Verdict {
    return this.#run(exchange, position, PHASE_REQUEST, this.#followsRequest);
  }

  override responseHead(exchange: Exchange, position: number): Verdict {
    return this.#run(exchange, position, PHASE_RESPONSE, this.#followsResponse);
  }

  override end(exchange: Exchange, position: number): void {
    this.runEnd(exchange, position);
  }

  override dispose(): void {
    super.dispose();
    this.#disposed = true;
    if (this.#guest !== null) this.retire();
    this.#guest = null;
  }

  #run(exchange: Exchange, position: number, phase: number, follows: boolean): Verdict {
    const admission = this.tenant.admit();
    if (admission !== ADMIT) {
      return this.notAdmitted(admission, exchange, () => this.#run(exchange, position, phase, follows));
    }
    const guest = this.takeIdle();
    if (guest === null) {
      this.stats.skipped++;
      return this.answerFault(exchange);
    }
    this.stats.calls++;
    let action: number;
    try {
      guest.begin(exchange, phase);
      guest.position = position;
      action = phase === PHASE_REQUEST ? guest.hooks.requestHead() : guest.hooks.responseHead();
    } catch (error) {
      this.discard(guest, error);
      return this.answerFault(exchange);
    }
    if (action === ACTION_CONTINUE && !follows) return this.settle(guest) ? CONTINUE : this.answerFault(exchange);
    const skips = guest.skipsBody;
    const goesOn = action === ACTION_CONTINUE || (action === ACTION_PAUSE && this.mayPause(phase));
    const verdict = goesOn || guest.phase === PHASE_DEAD ? CONTINUE : this.verdict(guest, exchange, action);
    if (!this.settle(guest)) return this.answerFault(exchange);
    return verdict === REPLY ? REPLY : this.follow(exchange, position, phase, action, skips);
  }

  /** A guest that is not idle is running: its own host call has led back here. That is a way of misusing one. */
  protected override takeIdle(): Guest | null {
    const guest = this.#guest ?? this.#replacement();
    return guest !== null && guest.phase === PHASE_IDLE ? guest : null;
  }

  protected override settle(guest: Guest): boolean {
    if (guest.phase === PHASE_DEAD) {
      this.discard(guest, null);
      return false;
    }
    this.spent(guest, guest.fuelUsed());
    guest.finish();
    if (this.isolates && !guest.putBack()) {
      this.#guest = null;
      this.retire();
    }
    return true;
  }

  protected override discard(guest: Guest, error: unknown): void {
    const left = guest.phase === PHASE_DEAD ? 0 : Math.max(0, guest.fuelLeft());
    this.spent(guest, guest.fuelLimit - left);
    this.#guest = null;
    this.guestFaulted(guest, error);
    if (this.#replacing) return;
    this.#replacing = true;
    setImmediate(() => {
      this.#replacing = false;
      if (this.#guest === null && !this.#disposed) this.#guest = this.tryMakeGuest();
    });
  }

  #replacement(): Guest | null {
    if (!this.#disposed) this.#guest = this.tryMakeGuest();
    return this.#guest;
  }
}
