/** Where one stream goes: the upstream, the endpoint being tried, and those that were tried before. */
import type { Connection, Protocol } from "#net/connection.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Detour } from "#proxy/detour.ts";
import type { Endpoint } from "#upstream/endpoint.ts";
import type { Member } from "#upstream/member.ts";
import type { Upstream } from "#upstream/upstream.ts";
import type { RetryPolicy } from "#upstream/retry-policy.ts";
import type { WaitQueue } from "#upstream/wait-queue.ts";
import { NO_ENDPOINT, NO_ORIGINAL, UPSTREAM_BUSY, type StreamOutcome } from "./outcomes.ts";
import type { StreamRoute } from "./stream-route.ts";

/** A steered client waits no longer than it would have. */
const ORIGINAL_CONNECT_MS = 5000;
export const CHOSEN = -1;

export class StreamTarget {
  #upstream: Upstream | null = null;
  #endpoint: Endpoint | null = null;
  #member: Member | null = null;
  #client = "";
  /** A filter's choice. */
  #preferred: Member | null = null;
  readonly #tried: Member[] = [];

  /**
   * CHOSEN, or why there is nowhere to go: UPSTREAM_BUSY where there would be, if fewer went there. `original`: a steered client's destination. `client`: its address, to balance by.
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
    return this.chooseAgain();
  }

  /** The same after a wait. */
  chooseAgain(): StreamOutcome | -1 {
    const upstream = this.#upstream;
    if (upstream === null) return NO_ENDPOINT;
    const preferred = this.#preferred;
    const takesIt = preferred !== null && preferred.available && !this.#tried.includes(preferred);
    const member = takesIt ? preferred : upstream.pick(null, this.#client, this.#tried);
    if (member === null) return upstream.isBusy ? UPSTREAM_BUSY : NO_ENDPOINT;
    this.#member = member;
    this.#endpoint = member.endpoint;
    return CHOSEN;
  }

  /** After a failed connect: an endpoint that was not tried, if one can take it. */
  chooseOther(): boolean {
    if (this.#member === null) return false;
    if (!this.#tried.includes(this.#member)) this.#tried.push(this.#member);
    return this.chooseAgain() === CHOSEN;
  }

  /** Rather one that was not tried than one that was. */
  chooseAny(): boolean {
    if (this.chooseOther()) return true;
    this.#tried.length = 0;
    return this.chooseAgain() === CHOSEN;
  }

  /** Null: nothing is tried again, but what costs nobody anything. */
  get retry(): RetryPolicy | null {
    return this.#upstream?.retry ?? null;
  }

  /** Null: nobody waits. */
  get queue(): WaitQueue | null {
    return this.#upstream?.queue ?? null;
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
    (this.#endpoint as Endpoint).connectStream(connection, protocol);
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
