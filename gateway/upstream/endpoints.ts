/** The endpoints of this worker by address, shared by all snapshots that name them. */
import { parseAddress } from "#core/address.ts";
import { Endpoint } from "./endpoint.ts";

/** Original destinations of steered clients that may have idle connections at one time; past it, the oldest go. */
const DYNAMIC_MAX = 1024;
const DYNAMIC_IDLE_MAX = 8;

export class Endpoints {
  readonly #byAddress = new Map<string, Endpoint>();
  /** Endpoints that no snapshot names, in order of last use. */
  readonly #dynamic = new Map<string, Endpoint>();

  /** For a snapshot: counted, until `release`. Throws PenstockError for an address that can't be one. */
  acquire(address: string, idleMax: number): Endpoint {
    let endpoint = this.#byAddress.get(address);
    if (endpoint === undefined) {
      endpoint = new Endpoint(address, parseAddress(address), idleMax);
      this.#byAddress.set(address, endpoint);
    }
    endpoint.idleMax = idleMax;
    endpoint.references++;
    return endpoint;
  }

  release(endpoint: Endpoint): void {
    endpoint.references--;
    if (endpoint.references > 0) return;
    this.#byAddress.delete(endpoint.address);
    endpoint.drain();
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
