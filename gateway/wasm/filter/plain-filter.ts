/**
 * A plugin that never waits: one guest, whose hooks run to their end inside the engine's call. After a fault the next
 * guest is made when the engine's turn is over, or by the next request if that comes first.
 *
 * This is the path of every request through a plugin: no allocation, no strings, three calls into the module (fuel in,
 * hook, fuel out) of about 7 ns each.
 */
import { CONTINUE, type Exchange, type Verdict } from "#pipeline/filter.ts";
import { ADMIT } from "#pipeline/tenant.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { ACTION_CONTINUE } from "#wasm/guest/hooks.ts";
import { PHASE_DEAD, PHASE_END, PHASE_IDLE, PHASE_REQUEST, PHASE_RESPONSE } from "#wasm/guest/phases.ts";
import { hooksOf, WasmFilter } from "./wasm-filter.ts";

export class PlainFilter extends WasmFilter {
  override hooks = 0;
  #guest: Guest | null = null;
  #replacing = false;
  #disposed = false;

  /** The first guest. Throws PenstockError when the plugin does not accept its configuration. */
  prepare(): void {
    const guest = this.makeGuest();
    this.hooks = hooksOf(guest);
    this.#guest = guest;
  }

  override requestHead(exchange: Exchange, _position: number): Verdict {
    return this.#run(exchange, PHASE_REQUEST);
  }

  override responseHead(exchange: Exchange, _position: number): Verdict {
    return this.#run(exchange, PHASE_RESPONSE);
  }

  override end(exchange: Exchange, _position: number): void {
    const guest = this.#guest;
    if (guest === null) return;
    this.stats.calls++;
    try {
      guest.begin(exchange, PHASE_END);
      guest.hooks.end();
    } catch (error) {
      this.#discard(guest, error);
      return;
    }
    this.#settle(guest);
  }

  override dispose(): void {
    this.#disposed = true;
    if (this.#guest !== null) this.retire();
    this.#guest = null;
  }

  #run(exchange: Exchange, phase: number): Verdict {
    const admission = this.tenant.admit();
    if (admission !== ADMIT) return this.notAdmitted(admission, exchange, () => this.#run(exchange, phase));
    const guest = this.#guest ?? this.#replacement();
    // A guest that is not idle is running: its own host call has led back here. That is a way of misusing one.
    if (guest === null || guest.phase !== PHASE_IDLE) {
      this.stats.skipped++;
      return this.answerFault(exchange);
    }
    this.stats.calls++;
    let action: number;
    try {
      guest.begin(exchange, phase);
      action = phase === PHASE_REQUEST ? guest.hooks.requestHead() : guest.hooks.responseHead();
    } catch (error) {
      this.#discard(guest, error);
      return this.answerFault(exchange);
    }
    if (action === ACTION_CONTINUE) return this.#settle(guest) ? CONTINUE : this.answerFault(exchange);
    const verdict = guest.phase === PHASE_DEAD ? CONTINUE : this.verdict(guest, exchange, action);
    return this.#settle(guest) ? verdict : this.answerFault(exchange);
  }

  /** Counts the fuel and makes the guest idle; false when it had been ended. */
  #settle(guest: Guest): boolean {
    if (guest.phase === PHASE_DEAD) {
      this.#discard(guest, null);
      return false;
    }
    this.spent(guest.fuelUsed());
    guest.finish();
    return true;
  }

  #discard(guest: Guest, error: unknown): void {
    const left = guest.phase === PHASE_DEAD ? 0 : Math.max(0, guest.fuelLeft());
    this.spent(guest.fuelLimit - left);
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
