/**
 * A named group of endpoints as one snapshot has it, and who of them gets a request: first whom a cookie names, else one of
 * the lowest priority that has any, by the balancer. What the endpoints have shown outlives it (see `member.ts`).
 */
import type { Head } from "#http/head.ts";
import { encodeProxyHeader } from "#net/proxy-protocol/encode.ts";
import type { UpstreamSpec } from "#snapshot/snapshot.ts";
import type { ClientTls } from "#net/tls/client-tls.ts";
import type { Balancer } from "./balancer/balancer.ts";
import { createBalancer } from "./balancer/create.ts";
import type { Endpoints } from "./endpoints.ts";
import { HashKey } from "./hash-key.ts";
import { HealthChecks } from "./health/health-checks.ts";
import type { Member } from "./member.ts";
import { OutlierDetection } from "./outlier.ts";
import { RetryPolicy } from "./retry-policy.ts";
import { Roster, type Listed } from "./roster.ts";
import { Sticky } from "./sticky.ts";
import type { UpstreamTimeouts } from "./stream.ts";
import { WaitQueue } from "./wait-queue.ts";

/** Draws of a balancer until an endpoint that begins slowly is taken all the same. */
const SLOW_START_DRAWS = 4;
/** Of its share, an endpoint that begins slowly gets at least this. */
const SLOW_START_SHARE_MIN = 0.1;

export class Upstream {
  readonly name: string;
  readonly spec: UpstreamSpec;
  /** Connections begin with a header that names the client; null: they don't. */
  readonly proxyProtocol: "v1" | "v2" | null;
  readonly timeouts: UpstreamTimeouts;
  readonly retry: RetryPolicy | null;
  readonly queue: WaitQueue | null;
  /** Null: clients are not bound to an endpoint. */
  sticky: Sticky | null = null;
  /** Endpoints ejected so far, and the last of it: for the counters. */
  ejections = 0;
  readonly #endpoints: Endpoints;
  readonly #roster: Roster;
  readonly #key: HashKey | null;
  readonly #outlier: OutlierDetection | null;
  readonly #checks: HealthChecks | null;
  readonly #slowStartMs: number;
  /** By priority, the lowest number first. */
  #tiers: readonly Balancer[] = [];
  #members: readonly Member[] = [];
  /** Of those, who gets what nobody has bound to them. */
  #taking: readonly Member[] = [];
  #active = false;

  constructor(spec: UpstreamSpec, endpoints: Endpoints, tls: ClientTls | null = null) {
    this.name = spec.name;
    this.spec = spec;
    this.proxyProtocol = spec.proxyProtocol ?? null;
    this.timeouts = spec.timeouts;
    this.#endpoints = endpoints;
    const key = spec.balancer?.key ?? "";
    this.#key = key === "" ? null : new HashKey(key);
    this.#slowStartMs = this.#key === null ? (spec.slowStartMs ?? 0) : 0;
    this.#outlier =
      spec.outlierDetection === undefined ? null : new OutlierDetection(spec.outlierDetection, () => this.ejections++);
    this.retry = spec.retry === undefined ? null : new RetryPolicy(spec.retry);
    this.queue = (spec.limits?.queueMax ?? 0) === 0 ? null : this.#createQueue();
    this.#checks =
      spec.healthCheck === undefined
        ? null
        : new HealthChecks(spec.healthCheck, spec.timeouts, endpoints.context, introductionOf(this.proxyProtocol));
    this.#roster = new Roster(spec, endpoints, tls, () => this.#changed());
    this.#arrange();
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get listed(): readonly Listed[] {
    return this.#roster.all;
  }

  /** Names of endpoints that have no address yet. */
  get unresolved(): readonly string[] {
    return this.#roster.unresolved;
  }

  /**
   * Who gets a request of `client`, an address as text; null when nobody can take it now. `request`: null where there is
   * no HTTP. Those in `tried` are left aside.
   */
  pick(request: Head | null, client: string, tried: readonly Member[]): Member | null {
    if (this.sticky !== null && request !== null) {
      const bound = this.sticky.memberOf(request);
      if (bound !== null && bound.available && !tried.includes(bound)) return bound;
    }
    const hash = this.#key === null ? 0 : this.#key.hashOf(request, client);
    for (let i = 0; i < this.#tiers.length; i++) {
      const tier = this.#tiers[i] as Balancer;
      const member = this.#slowStartMs > 0 ? this.#pickSlowly(tier, tried) : tier.pick(hash, tried);
      if (member !== null) return member;
    }
    return null;
  }

  /** Some endpoint could take a request, if it had fewer. */
  get isBusy(): boolean {
    return this.#taking.some((member) => member.usable);
  }

  succeeded(member: Member): void {
    this.#outlier?.succeeded(member);
  }

  failed(member: Member): void {
    member.errors++;
    if (this.#active) this.#outlier?.failed(member, this.#members);
  }

  /** The snapshot is in force: from here on its limits and checks hold. */
  activate(): void {
    this.#active = true;
    this.#apply();
  }

  /** Another is in force. */
  deactivate(): void {
    this.#active = false;
    this.#checks?.stop();
  }

  /** None of its requests is left. */
  dispose(): void {
    this.deactivate();
    if (this.queue !== null) for (const { endpoint } of this.#members) endpoint.unwatch(this.queue);
    this.#roster.dispose();
  }

  #pickSlowly(tier: Balancer, tried: readonly Member[]): Member | null {
    const { nowMs } = this.#endpoints.context.loop;
    for (let draw = 1; ; draw++) {
      const member = tier.pick(0, tried);
      if (member === null || draw === SLOW_START_DRAWS) return member;
      const share = (nowMs - member.usableSinceMs) / this.#slowStartMs;
      if (share >= 1 || Math.random() < Math.max(share, SLOW_START_SHARE_MIN)) return member;
    }
  }

  #createQueue(): WaitQueue {
    const { context, workers } = this.#endpoints;
    const limits = this.spec.limits ?? { connectionsMax: 0, requestsMax: 0, queueMax: 0, queueMs: 0 };
    const queueMax = Math.ceil(limits.queueMax / workers);
    return new WaitQueue(context, { ...limits, queueMax }, () => this.#taking.some((member) => member.available));
  }

  #changed(): void {
    if (this.queue !== null) for (const { endpoint } of this.#members) endpoint.unwatch(this.queue);
    this.#arrange();
    if (this.#active) this.#apply();
    this.queue?.wake();
  }

  #arrange(): void {
    const { all } = this.#roster;
    this.#members = all.map((one) => one.member);
    const taking = all.filter((one) => !one.drain);
    this.#taking = taking.map((one) => one.member);
    const priorities = [...new Set(taking.map((one) => one.priority))].toSorted((a, b) => a - b);
    const type = this.spec.balancer?.type ?? "round-robin";
    this.#tiers = priorities.map((priority) =>
      createBalancer(
        type,
        taking.filter((one) => one.priority === priority),
      ),
    );
    const sticky = this.spec.balancer?.sticky;
    this.sticky = sticky === undefined ? null : new Sticky(sticky, this.#members);
    if (this.queue !== null) for (const { endpoint } of this.#members) endpoint.watch(this.queue);
  }

  #apply(): void {
    const { limits } = this.spec;
    const { workers } = this.#endpoints;
    const asked = [limits?.requestsMax ?? 0, limits?.connectionsMax ?? 0].filter((limit) => limit > 0);
    const requestsMax = asked.length === 0 ? Infinity : Math.ceil(Math.min(...asked) / workers);
    for (const member of this.#members) {
      member.requestsMax = requestsMax;
      if (this.#outlier === null) member.pardon();
      else this.#outlier.resume(member);
      if (this.#checks === null && !member.healthy) member.setHealthy(true);
    }
    this.#checks?.check(this.#members);
    this.#outlier?.readmit(this.#members);
  }
}

/** AF_UNIX and no name: an end that a PROXY header can't name. */
const NOBODY = Uint8Array.of(1, 0);

/** Of connections that are the gateway's own: nobody is behind them. */
function introductionOf(version: "v1" | "v2" | null): Uint8Array | null {
  return version === null ? null : encodeProxyHeader(version, NOBODY, NOBODY);
}
