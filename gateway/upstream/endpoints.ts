/**
 * What a worker keeps of its upstreams beyond one snapshot: endpoints by address with their connections, members by
 * upstream with what they have shown, and names with their addresses. Snapshots that name them share them.
 */
import { parseAddress } from "#core/address.ts";
import type { UpstreamContext } from "./context.ts";
import { Resolver } from "./dns/resolver.ts";
import { Endpoint, type EndpointTls } from "./endpoint.ts";
import { Members } from "./members.ts";

/** Original destinations of steered clients that may have idle connections at one time; past it, the oldest go. */
const DYNAMIC_MAX = 1024;
const DYNAMIC_IDLE_MAX = 8;

export class Endpoints {
  readonly context: UpstreamContext;
  readonly members: Members;
  readonly resolver: Resolver;
  /** How many workers there are: limits of the whole gateway are divided by it. */
  readonly workers: number;
  readonly #byAddress = new Map<string, Endpoint>();
  /** Endpoints that no snapshot names, in order of last use. */
  readonly #dynamic = new Map<string, Endpoint>();

  constructor(context: UpstreamContext, workers: number) {
    this.context = context;
    this.workers = workers;
    this.members = new Members(context.loop);
    this.resolver = new Resolver(context);
  }

  /**
   * For a snapshot: counted, until `release`. Connections are shared by those who encrypt them alike. Throws PenstockError for an address that can't be one.
   */
  acquire(address: string, idleMax: number, tls: EndpointTls | null = null): Endpoint {
    const key = tls === null ? address : `${address} ${tls.host} ${tls.client.options.identity}`;
    let endpoint = this.#byAddress.get(key);
    if (endpoint === undefined) {
      endpoint = new Endpoint(address, parseAddress(address), idleMax, key, tls);
      tls?.client.retain();
      this.#byAddress.set(key, endpoint);
    }
    endpoint.idleMax = idleMax;
    endpoint.references++;
    return endpoint;
  }

  release(endpoint: Endpoint): void {
    endpoint.references--;
    if (endpoint.references > 0) return;
    this.#byAddress.delete(endpoint.key);
    endpoint.drain();
    endpoint.tls?.client.release();
  }

  /** For one request to wherever a steered client wanted to go. */
  dynamic(address: string): Endpoint {
    const known = this.#dynamic.get(address);
    if (known !== undefined) {
      this.#dynamic.delete(address);
      this.#dynamic.set(address, known);
      return known;
    }
    const endpoint = new Endpoint(address, parseAddress(address), DYNAMIC_IDLE_MAX);
    endpoint.references = 1;
    this.#dynamic.set(address, endpoint);
    if (this.#dynamic.size > DYNAMIC_MAX) {
      const [oldest, idle] = this.#dynamic.entries().next().value as [string, Endpoint];
      this.#dynamic.delete(oldest);
      idle.references = 0;
      idle.drain();
    }
    return endpoint;
  }

  /** Every endpoint, for shutdown. */
  drain(): void {
    for (const endpoint of this.#byAddress.values()) endpoint.drain();
    for (const endpoint of this.#dynamic.values()) endpoint.drain();
  }
}
