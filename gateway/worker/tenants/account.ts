/**
 * One tenant in one worker: what its plugins may use, and what they have used. Quotas of the whole gateway are divided among the
 * workers, who share connections evenly enough. It outlives snapshots: a change of a quota changes what is asked here, and no count.
 *
 * Fuel is bounded twice. The tenant's tokens of a second bound what it may use at all: without one, calls are refused. Its part
 * of a turn bounds how long others wait: what wants more is put off until they have had their turn (turns.ts). Both count
 * afterwards, since nobody knows before what a call will use; so a tenant may go over by one call.
 */
import {
  ADMIT,
  DEFER,
  REFUSE,
  type Admission,
  type Allowance,
  type KeyValueStore,
  type TenantAccount,
} from "#pipeline/tenant.ts";
import type { TenantQuotas } from "#snapshot/snapshot.ts";
import { TenantMetrics } from "./metric-series.ts";
import { TokenBucket } from "./token-bucket.ts";
import type { Deferring, Turns } from "./turns.ts";

/** Fuel of one tenant in one turn of the loop: about a millisecond. */
export const TURN_FUEL = 1_000_000;
/** Calls of one tenant that may wait for their turn. */
export const DEFERRED_MAX = 1024;
/** As much as in so many seconds may be used at once. */
const FUEL_BURST_SECONDS = 1;
const LOG_BURST_SECONDS = 2;
/** A quota that rounds to nothing for one worker would be a ban. */
const LOG_BURST_MIN = 10;

export interface AccountHost {
  /** How many serve the same listeners. */
  readonly workers: number;
  nowMs(): number;
  /** Which turn of the loop it is. */
  turn(): number;
}

class Counted implements Allowance {
  readonly #most: () => number;
  taken = 0;
  refused = 0;

  constructor(most: () => number) {
    this.#most = most;
  }

  take(): boolean {
    if (this.taken >= this.#most()) {
      this.refused++;
      return false;
    }
    this.taken++;
    return true;
  }

  give(): void {
    this.taken--;
  }
}

export class Account implements TenantAccount, Deferring {
  readonly name: string;
  readonly metrics: TenantMetrics;
  readonly guests: Counted;
  readonly suspended: Counted;
  keyValue: KeyValueStore | null = null;
  readonly #host: AccountHost;
  readonly #turns: Turns;
  #quotas: TenantQuotas;
  #fuel: TokenBucket;
  #lines: TokenBucket;
  #turn = 0;
  #turnFuel = 0;
  readonly #deferred: (() => void)[] = [];
  /** What was put off is running: it must not be put off again. */
  #running = false;
  #fuelUsed = 0;
  #callsRefused = 0;
  #callsDeferred = 0;
  #linesDropped = 0;

  constructor(name: string, quotas: TenantQuotas, host: AccountHost, turns: Turns) {
    this.name = name;
    this.#host = host;
    this.#turns = turns;
    this.#quotas = quotas;
    this.#fuel = this.#fuelBucket();
    this.#lines = this.#lineBucket();
    this.metrics = new TenantMetrics(() => this.#quotas.metricSeries);
    this.guests = new Counted(() => this.#quotas.guests);
    this.suspended = new Counted(() => this.#quotas.suspendedCalls);
  }

  get quotas(): TenantQuotas {
    return this.#quotas;
  }

  /** Of the snapshot in force from now on. */
  set quotas(quotas: TenantQuotas) {
    const before = this.#quotas;
    this.#quotas = quotas;
    if (quotas.fuelPerSecond !== before.fuelPerSecond) this.#fuel = this.#fuelBucket();
    if (quotas.logLinesPerSecond !== before.logLinesPerSecond) this.#lines = this.#lineBucket();
  }

  admit(): Admission {
    if (!this.#fuel.has(this.#host.nowMs())) {
      this.#callsRefused++;
      return REFUSE;
    }
    if (this.#running) return ADMIT;
    const turn = this.#host.turn();
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnFuel = 0;
    }
    return this.#turnFuel > TURN_FUEL || this.#deferred.length > 0 ? DEFER : ADMIT;
  }

  spend(fuel: number): void {
    this.#fuel.take(fuel);
    this.#turnFuel += fuel;
    this.#fuelUsed += fuel;
  }

  defer(run: () => void): boolean {
    if (this.#deferred.length >= DEFERRED_MAX) {
      this.#callsRefused++;
      return false;
    }
    this.#callsDeferred++;
    this.#deferred.push(run);
    if (this.#deferred.length === 1) this.#turns.join(this);
    return true;
  }

  runDeferred(): boolean {
    this.#running = true;
    this.#turnFuel = 0;
    let run: (() => void) | undefined;
    while (this.#turnFuel <= TURN_FUEL && (run = this.#deferred.shift()) !== undefined) run();
    this.#running = false;
    return this.#deferred.length > 0;
  }

  takeLogLine(): boolean {
    if (!this.#lines.has(this.#host.nowMs())) {
      this.#linesDropped++;
      return false;
    }
    this.#lines.take(1);
    return true;
  }

  /** By tenant: `tenant_fuel{tenant="acme"}` and the like. */
  read(into: Record<string, number>): void {
    const labels = `{tenant="${this.name}"}`;
    into[`tenant_fuel${labels}`] = this.#fuelUsed;
    into[`tenant_calls_refused${labels}`] = this.#callsRefused;
    into[`tenant_calls_deferred${labels}`] = this.#callsDeferred;
    into[`tenant_log_lines_dropped${labels}`] = this.#linesDropped;
    into[`tenant_guests_open${labels}`] = this.guests.taken;
    into[`tenant_guests_refused${labels}`] = this.guests.refused;
    into[`tenant_suspended_open${labels}`] = this.suspended.taken;
    into[`tenant_suspended_refused${labels}`] = this.suspended.refused;
    into[`tenant_series_open${labels}`] = this.metrics.size;
    into[`tenant_series_refused${labels}`] = this.metrics.refused;
    this.metrics.read(this.name, into);
  }

  #fuelBucket(): TokenBucket {
    const perSecond = this.#quotas.fuelPerSecond / this.#host.workers;
    return new TokenBucket(perSecond, perSecond * FUEL_BURST_SECONDS);
  }

  #lineBucket(): TokenBucket {
    const perSecond = this.#quotas.logLinesPerSecond / this.#host.workers;
    return new TokenBucket(perSecond, Math.max(LOG_BURST_MIN, perSecond * LOG_BURST_SECONDS));
  }
}
