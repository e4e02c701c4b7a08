/**
 * From a stream's route to a connection that an endpoint has taken, before a byte of the stream has left:
 *
 *     choose ─▶ CONNECTING (and the TLS handshake) ─▶ the owner's
 *       ▲ │          └── refused, too slow, not trusted ──▶ another endpoint, as many as may be tried
 *       │ └─ every endpoint is at its limit ─▶ WAITING in the upstream's queue
 *       └──────────── a place is free ────────────┘
 *
 * Nothing has left by a failed connect, so up to CONNECTS_MAX endpoints are tried without being asked; what goes beyond is the
 * upstream's `retry`, with its budget.
 */
import { ETIMEDOUT } from "#core/errno.ts";
import { Connection, type Protocol } from "#net/connection.ts";
import { TLS_FAILED, TLS_UNTRUSTED } from "#net/tls/client-tls.ts";
import type { ProxyVersion } from "#net/proxy-protocol/encode.ts";
import { UPSTREAM_CONNECT_FAILURES, UPSTREAM_CONNECTS, UPSTREAM_RETRIES } from "#observe/counters.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Detour } from "#proxy/detour.ts";
import type { RetryPolicy } from "#upstream/retry-policy.ts";
import type { Waiter } from "#upstream/wait-queue.ts";
import * as outcomes from "./outcomes.ts";
import type { StreamRoute } from "./stream-route.ts";
import { CHOSEN, StreamTarget } from "./target.ts";

/** Endpoints one stream may try to connect to without being told to. */
const CONNECTS_MAX = 3;

export interface DialOwner {
  /** It waits for a place: who gives up meanwhile is to say so by `over`. */
  waits(): void;
  /** The PROXY header that its connection begins with. */
  introduction(version: ProxyVersion): Uint8Array;
  /** The endpoint has taken the connection, which is the owner's from here; its place is given back by `over`. */
  dialled(upstream: Connection): void;
  /** There is none. Not within `begin`, but for want of an endpoint. */
  undialled(outcome: outcomes.StreamOutcome): void;
}

export class Dial implements Waiter, Protocol {
  readonly #worker: WorkerContext;
  readonly #owner: DialOwner;
  readonly #target = new StreamTarget();
  /** Being connected; null before, between and after attempts. */
  #connecting: Connection | null = null;
  /** Counted at the endpoint. */
  #placed = false;
  #waiting = false;
  waitingSinceMs = 0;
  #connects = 0;
  #retries = 0;
  /** There was no buffer for the PROXY header. */
  #nameless = false;

  constructor(worker: WorkerContext, owner: DialOwner) {
    this.#worker = worker;
    this.#owner = owner;
  }

  /** The endpoint that is tried or used; empty before one is. */
  get address(): string {
    return this.#target.address;
  }

  /** As StreamTarget.choose has it. */
  begin(route: StreamRoute, original: string | null, client: string, detour: Detour | null): void {
    const chosen = this.#target.choose(this.#worker, route, original, client, detour);
    this.#target.retry?.request();
    this.#go(chosen);
  }

  /** The stream is over, whatever it has come to: nothing is told any more. */
  over(): void {
    if (this.#waiting) this.#target.queue?.remove(this);
    this.#waiting = false;
    this.#connecting?.close();
    this.#connecting = null;
    this.#leave();
  }

  #go(chosen: outcomes.StreamOutcome | -1): void {
    if (chosen === CHOSEN) this.#connect();
    else if (chosen === outcomes.UPSTREAM_BUSY) this.#wait();
    else this.#owner.undialled(chosen);
  }

  #wait(): void {
    const { queue } = this.#target;
    if (queue === null) {
      this.#owner.undialled(outcomes.UPSTREAM_BUSY);
    } else if (queue.add(this)) {
      this.#waiting = true;
      this.#owner.waits();
    } else {
      this.#owner.undialled(outcomes.QUEUE_FULL);
    }
  }

  admitted(): void {
    this.#waiting = false;
    this.#go(this.#target.chooseAgain());
  }

  waitedTooLong(): void {
    this.#waiting = false;
    this.#owner.undialled(outcomes.QUEUE_TIMEOUT);
  }

  #connect(): void {
    const { loop, gather, counters } = this.#worker;
    counters.add(UPSTREAM_CONNECTS, 1);
    this.#connects++;
    this.#target.count(1);
    this.#placed = true;
    const upstream = new Connection(loop, gather);
    this.#connecting = upstream;
    this.#target.connect(upstream, this);
    const version = this.#target.proxyProtocol;
    // Before it is connected: so the header stands in front of TLS, where the endpoint speaks it.
    this.#nameless = version !== null && !upstream.sendAhead(this.#owner.introduction(version));
    upstream.expireBy(loop.nowMs + this.#target.connectMs);
  }

  #leave(): void {
    if (!this.#placed) return;
    this.#placed = false;
    this.#target.count(-1);
  }

  #failed(error: number): void {
    const { counters, loop } = this.#worker;
    counters.add(UPSTREAM_CONNECT_FAILURES, 1);
    this.#connecting?.close();
    this.#connecting = null;
    this.#leave();
    this.#target.failed();
    const policy = this.#target.retry;
    if (this.#connects < CONNECTS_MAX && this.#target.chooseOther()) {
      this.#again();
    } else if (policy !== null && this.#mayRetry(policy, loop.nowMs) && this.#target.chooseAny()) {
      this.#retries++;
      this.#again();
    } else {
      this.#owner.undialled(outcomeOf(error));
    }
  }

  #mayRetry(policy: RetryPolicy, nowMs: number): boolean {
    return policy.spec.onConnectFailure && this.#retries < policy.spec.attempts && policy.take(nowMs);
  }

  #again(): void {
    this.#worker.counters.add(UPSTREAM_RETRIES, 1);
    this.#connect();
  }

  // The connection that is being made.

  onConnected(error: number): void {
    const upstream = this.#connecting;
    if (upstream === null) return;
    if (error !== 0) {
      this.#failed(error);
      return;
    }
    if (this.#nameless) {
      this.#owner.undialled(outcomes.OVERLOADED);
      return;
    }
    this.#connecting = null;
    this.#target.succeeded();
    this.#owner.dialled(upstream);
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrained(): void {}

  onBroken(error: number): void {
    if (this.#connecting !== null) this.#failed(error);
  }

  onDeadline(): void {
    if (this.#connecting !== null) this.#failed(ETIMEDOUT);
  }
}

function outcomeOf(error: number): outcomes.StreamOutcome {
  switch (error) {
    case ETIMEDOUT:
      return outcomes.CONNECT_TIMEOUT;
    case TLS_FAILED:
      return outcomes.UPSTREAM_TLS;
    case TLS_UNTRUSTED:
      return outcomes.UPSTREAM_UNTRUSTED;
    default:
      return outcomes.CONNECT_FAILED;
  }
}
