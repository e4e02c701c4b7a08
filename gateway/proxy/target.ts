/** Where one exchange goes: the upstream, the endpoint being tried, and those that were tried before. */
import { Connection } from "#net/connection.ts";
import { UPSTREAM_CONNECTS } from "#observe/counters.ts";
import type { Head } from "#http/head.ts";
import type { RouteSpec } from "#snapshot/snapshot.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import { Http1Upstream } from "#upstream/http1-upstream.ts";
import { IntroducedEndpoint } from "#upstream/introduced-endpoint.ts";
import type { Member } from "#upstream/member.ts";
import { TunnelStream } from "#upstream/tunnel-stream.ts";
import type { ResponseSink, UpstreamStream, UpstreamTimeouts } from "#upstream/stream.ts";
import type { Upstream } from "#upstream/upstream.ts";
import { proxyHeaderOf, type ClientEnds } from "./client-ends.ts";
import type { WorkerContext } from "./context.ts";
import type { Detour } from "./detour.ts";
import type { Engine, Route } from "./engine.ts";
import {
  NO_ENDPOINT,
  NO_HEALTHY_ENDPOINT,
  NO_ORIGINAL,
  OK,
  UNRESOLVED,
  UPSTREAM_BUSY,
  type Outcome,
} from "./outcomes.ts";

const ORIGINAL_TIMEOUTS: UpstreamTimeouts = { connectMs: 5000, requestMs: 60_000, idleMs: 30_000 };

export class Target {
  readonly #worker: WorkerContext;
  /** Null: an original destination. */
  upstream: Upstream | null = null;
  /** Of `upstream`; null before one is chosen. */
  member: Member | null = null;
  /** A filter's choice. */
  #preferred: Member | null = null;
  readonly #tried: Member[] = [];
  #endpoint: Endpoint | null = null;
  /** An idle connection has turned out to be dead: not another one of them. */
  #fresh = false;
  /** What becomes of a CONNECT, by its route; null: it is another request. */
  connect: RouteSpec["connect"] | null = null;
  /** The connection of `acquire` is established. */
  connected = false;

  constructor(worker: WorkerContext) {
    this.#worker = worker;
  }

  /** The endpoint being used, for the log; empty before one is. */
  get address(): string {
    return this.#endpoint?.address ?? "";
  }

  /** OK, or why there is nowhere to go. `original`: a steered client's destination. */
  begin(route: Route, original: string | null, request: Head, client: string): Outcome {
    if (route.split !== null) {
      this.upstream = route.split.choose(request, client);
      return OK;
    }
    if (original === null) return NO_ORIGINAL;
    this.#endpoint = this.#worker.endpoints.dynamic(original);
    return OK;
  }

  /** The same for an upstream given by its index in the snapshot. */
  beginUpstream(engine: Engine, index: number): Outcome {
    this.upstream = engine.upstreams[index] ?? null;
    return this.upstream === null ? NO_ENDPOINT : OK;
  }

  beginDetour({ upstream, member }: Detour): Outcome {
    this.upstream = upstream;
    this.#preferred = member;
    return OK;
  }

  /** Chooses an endpoint that was not tried. UPSTREAM_BUSY: all that could are at their limits. */
  choose(request: Head | null, client: string): Outcome {
    const { upstream } = this;
    if (upstream === null) return OK;
    const preferred = this.#preferred;
    const takesIt = preferred !== null && preferred.available && !this.#tried.includes(preferred);
    const member = takesIt ? preferred : upstream.pick(request, client, this.#tried);
    if (member === null) return whyNone(upstream);
    this.member = member;
    this.#endpoint = member.endpoint;
    return OK;
  }

  /** Another endpoint than those that failed, if there is one that can take it. */
  chooseOther(request: Head | null, client: string): boolean {
    if (this.member !== null && !this.#tried.includes(this.member)) this.#tried.push(this.member);
    return this.upstream !== null && this.choose(request, client) === OK;
  }

  /** For a second request to the same upstream: another endpoint is to be chosen. */
  beside(): Target {
    const other = new Target(this.#worker);
    other.upstream = this.upstream;
    other.#tried.push(...this.#tried);
    if (this.member !== null) other.#tried.push(this.member);
    return other;
  }

  /** Goes where `other` went. */
  follow(other: Target): void {
    if (this.member !== null && !this.#tried.includes(this.member)) this.#tried.push(this.member);
    this.member = other.member;
    this.#endpoint = other.#endpoint;
    this.connected = other.connected;
  }

  /** All were tried: from the beginning. */
  forgetTried(): void {
    this.#tried.length = 0;
  }

  /**
   * A connection to the chosen endpoint: an idle one, or a new one that `sink` hears of. `introduction`: who it is for, where
   * the upstream wants to know; null: nobody from outside.
   */
  acquire(sink: ResponseSink, engine: Engine, introduction: ClientEnds | null): UpstreamStream {
    if (this.member !== null) this.member.requests++;
    const timeouts = this.upstream === null ? ORIGINAL_TIMEOUTS : this.upstream.timeouts;
    const version = this.upstream === null ? null : this.upstream.proxyProtocol;
    if (this.connect === "tunnel") return this.#tunnel(sink, timeouts.connectMs, version, introduction);
    if (version !== null) return this.#introduced(sink, engine, timeouts, version, introduction);
    const endpoint = this.#endpoint as Endpoint;
    // What becomes a tunnel is nobody else's afterwards, and can't be asked for twice: not by one that may be dead.
    const fresh = this.#fresh || this.connect !== null;
    const idle = fresh ? undefined : endpoint.take(this.#worker.loop.turns);
    if (idle !== undefined) {
      this.connected = true;
      idle.begin(sink, timeouts);
      return idle;
    }
    const { loop, gather, counters, scratch } = this.#worker;
    counters.add(UPSTREAM_CONNECTS, 1);
    const stream = new Http1Upstream(endpoint, new Connection(loop, gather), timeouts, engine.limits, scratch);
    this.connected = false;
    stream.dial(sink);
    return stream;
  }

  /** A connection of its own, that begins with who the client is. */
  #introduced(
    sink: ResponseSink,
    engine: Engine,
    timeouts: UpstreamTimeouts,
    version: "v1" | "v2",
    client: ClientEnds | null,
  ): UpstreamStream {
    const { loop, gather, counters, scratch } = this.#worker;
    const endpoint = new IntroducedEndpoint(this.#endpoint as Endpoint);
    counters.add(UPSTREAM_CONNECTS, 1);
    const stream = new Http1Upstream(endpoint, new Connection(loop, gather), timeouts, engine.limits, scratch);
    this.connected = false;
    stream.dial(sink, proxyHeaderOf(version, client));
    return stream;
  }

  /** To be joined to the client's. */
  #tunnel(
    sink: ResponseSink,
    connectMs: number,
    version: "v1" | "v2" | null,
    client: ClientEnds | null,
  ): UpstreamStream {
    const { loop, gather, counters, date } = this.#worker;
    counters.add(UPSTREAM_CONNECTS, 1);
    const stream = new TunnelStream(this.#endpoint as Endpoint, new Connection(loop, gather), date);
    this.connected = false;
    stream.dial(sink, version === null ? null : proxyHeaderOf(version, client), connectMs);
    return stream;
  }

  /** After an idle connection turned out to be dead: the same endpoint over a fresh one, once. */
  again(): boolean {
    if (this.#fresh) return false;
    this.#fresh = true;
    return true;
  }

  reset(): void {
    this.upstream = null;
    this.member = null;
    this.#preferred = null;
    this.#tried.length = 0;
    this.#endpoint = null;
    this.#fresh = false;
    this.connect = null;
    this.connected = false;
  }
}

function whyNone(upstream: Upstream): Outcome {
  if (upstream.isBusy) return UPSTREAM_BUSY;
  if (upstream.members.length > 0) return NO_HEALTHY_ENDPOINT;
  return upstream.unresolved.length > 0 ? UNRESOLVED : NO_ENDPOINT;
}
