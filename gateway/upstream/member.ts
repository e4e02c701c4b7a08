/**
 * An endpoint as one upstream has it: whether it can be used, and what it has shown lately. It outlives snapshots as long
 * as its upstream names it, so that a change of routes forgets neither a sick endpoint nor an ejected one.
 *
 *     healthy  ◀── active checks ──▶ unhealthy          usable = healthy and not ejected
 *     in       ◀── time ── ejected ◀── errors in a row
 */
import { Alarm } from "#net/alarm.ts";
import type { Loop } from "./context.ts";
import type { EndpointOutage } from "./outage.ts";
import type { Endpoint } from "./endpoint.ts";
import { hashText } from "#core/hash.ts";

export class Member {
  readonly endpoint: Endpoint;
  /** As configured, or `10.0.0.7:80` of a name. */
  readonly address: string;
  /** 32 bits that stand for the address, for as long as it is the same. */
  readonly tag: number;
  /** The last active check says so; true where there are none. */
  healthy = true;
  ejected = false;
  usable = true;
  /** Requests at one time in this worker: Infinity without a limit. */
  requestsMax = Infinity;
  /** When it became usable; −Infinity for one that was there from the beginning. In the loop's milliseconds. */
  usableSinceMs = -Infinity;
  /** Checks in a row with the other result than `healthy` says. */
  checksAgainst = 0;
  consecutiveErrors = 0;
  /** Ejections without a good time in between: each makes the next one longer. */
  ejections = 0;
  /** When the ejection is over. In the loop's milliseconds. */
  ejectedUntilMs = -Infinity;
  /** What is left of an ejection that another process began; 0: nothing. It goes on when the upstream is activated. */
  handedEjectionMs = 0;
  requests = 0;
  errors = 0;
  /** The reason of the last failed check, for people; empty when the last one was good. */
  checkError = "";
  /** Upstreams that have it; at 0 it is forgotten. */
  references = 0;
  readonly #loop: Loop;
  readonly #back: Alarm;
  #due: () => void = () => {};

  constructor(endpoint: Endpoint, loop: Loop) {
    this.endpoint = endpoint;
    this.address = endpoint.address;
    this.tag = hashText(endpoint.address);
    this.#loop = loop;
    this.#back = new Alarm(loop, () => this.#due());
  }

  /** Can take a request now. */
  get available(): boolean {
    return this.usable && this.endpoint.active < this.requestsMax;
  }

  setHealthy(healthy: boolean): void {
    this.healthy = healthy;
    this.checksAgainst = 0;
    this.#judge();
  }

  /** Begins with what another process has found out. */
  takeUp({ checkError, ejectedMs, ejections }: EndpointOutage): void {
    this.ejections = ejections;
    this.handedEjectionMs = ejectedMs;
    if (checkError === null) return;
    this.checkError = checkError;
    this.setHealthy(false);
  }

  /** Out for `ms`; `after` is called when it is back. */
  eject(ms: number, after: () => void): void {
    this.ejected = true;
    this.ejectedUntilMs = this.#loop.nowMs + ms;
    this.#judge();
    this.#due = () => {
      this.ejected = false;
      this.#due = () => {};
      this.#judge();
      after();
    };
    this.#back.set(ms);
  }

  /** Calls back after `ms`, unless it is ejected before. */
  whenStill(ms: number, call: () => void): void {
    this.#due = call;
    this.#back.set(ms);
  }

  /** Nobody ejects any more. */
  pardon(): void {
    this.restore();
    this.handedEjectionMs = 0;
    this.ejections = 0;
  }

  /** Back before its time. */
  restore(): void {
    if (!this.ejected) return;
    this.#back.cancel();
    this.#due();
  }

  dispose(): void {
    this.#back.cancel();
  }

  #judge(): void {
    const before = this.usable;
    this.usable = this.healthy && !this.ejected;
    if (!this.usable || before) return;
    this.usableSinceMs = this.#loop.nowMs;
    this.consecutiveErrors = 0;
    this.endpoint.wake();
  }
}
