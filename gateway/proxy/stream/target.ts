/** Where one stream goes: the upstream, the endpoint being tried, and how many are left to try. */
import type { Connection, Protocol } from "#net/connection.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Detour } from "#proxy/detour.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import type { Member } from "#upstream/member.ts";
import type { Upstream } from "#upstream/upstream.ts";
import { NO_ENDPOINT, NO_ORIGINAL, type StreamOutcome } from "./outcomes.ts";
import type { StreamRoute } from "./stream-route.ts";

/** Endpoints one stream may try to connect to. */
const TRIES_MAX = 3;
/** A steered client waits no longer than it would have. */
const ORIGINAL_CONNECT_MS = 5000;
const CHOSEN = -1;

export class StreamTarget {
  #upstream: Upstream | null = null;
  #endpoint: Endpoint | null = null;
  #member: Member | null = null;
  #client = "";
  /** A filter's choice. */
  #preferred: Member | null = null;
  readonly #tried: Member[] = [];

  /**
   * −1, or why there is nowhere to go. `original`: a steered client's destination. `client`: its address, to balance by.
   * `detour`: a filter's, in the place of what the route says.
   */
  choose(
    worker: WorkerContext,
    route: StreamRoute,
    original: string | null,
    client: string,
    detour: Detour | null,
  ): StreamOutcome | -1 {
    const upstream = detour?.upstream ?? route.split?.choose(null, client) ?? null;
    if (upstream === null) {
      if (original === null) return NO_ORIGINAL;
      this.#endpoint = worker.endpoints.dynamic(original);
      return CHOSEN;
    }
    this.#upstream = upstream;
    this.#preferred = detour?.member ?? null;
    this.#client = client;
    return this.#pick(upstream) ? CHOSEN : NO_ENDPOINT;
  }

  #pick(upstream: Upstream): boolean {
    const preferred = this.#preferred;
    const takesIt = preferred !== null && preferred.available && !this.#tried.includes(preferred);
    this.#member = takesIt ? preferred : upstream.pick(null, this.#client, this.#tried);
    if (this.#member === null) return false;
    this.#endpoint = this.#member.endpoint;
    return true;
  }

  /** After a failed connect: another endpoint, if there is one that was not tried. */
  next(): boolean {
    const upstream = this.#upstream;
    if (upstream === null || this.#member === null) return false;
    this.failed();
    this.#tried.push(this.#member);
    return this.#tried.length < TRIES_MAX && this.#pick(upstream);
  }

  /** The endpoint has taken the connection. */
  succeeded(): void {
    if (this.#upstream !== null && this.#member !== null) this.#upstream.succeeded(this.#member);
  }

  /** It has not, or says that nobody is there. */
  failed(): void {
    if (this.#upstream !== null && this.#member !== null) this.#upstream.failed(this.#member);
  }

  /** struct sockaddr of the endpoint. */
  get sockaddr(): Uint8Array {
    return (this.#endpoint as Endpoint).sockaddr;
  }

  /** Connects to the endpoint, by TLS where it speaks that; `protocol.onConnected` hears of it. */
  connect(connection: Connection, protocol: Protocol): void {
    (this.#endpoint as Endpoint).connect(connection, protocol);
  }

  /** For the log; empty before `choose`. */
  get address(): string {
    return this.#endpoint?.address ?? "";
  }

  get connectMs(): number {
    return this.#upstream?.timeouts.connectMs ?? ORIGINAL_CONNECT_MS;
  }

  get proxyProtocol(): "v1" | "v2" | null {
    return this.#upstream?.proxyProtocol ?? null;
  }

  /** A connection to the endpoint is being made or in use; to be told again, with −1, when it is not. */
  count(change: 1 | -1): void {
    const endpoint = this.#endpoint as Endpoint;
    if (change === -1) {
      endpoint.leave();
      return;
    }
    endpoint.enter();
    if (this.#member !== null) this.#member.requests++;
  }
}
