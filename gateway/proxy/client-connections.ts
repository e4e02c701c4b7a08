/**
 * The caps on client connections: all together, and of one address, over all workers and listeners. This worker's are counted
 * exactly, the others' through memory that they share (connection-counts.ts).
 */
import type { SettingsSpec } from "#snapshot/snapshot.ts";
import type { ConnectionCounts } from "./connection-counts.ts";

export class ClientConnections {
  readonly #byClient = new Map<string, number>();
  readonly #shared: ConnectionCounts;

  constructor(shared: ConnectionCounts) {
    this.#shared = shared;
  }

  /** Of all workers. */
  get all(): number {
    return this.#shared.total;
  }

  /** Counts one more; false, and none counted, when that is one too many. `client`: the address as text; empty: a Unix socket. */
  admit(client: string, { connectionsMax = 0, connectionsPerClientMax = 0 }: SettingsSpec): boolean {
    if (connectionsMax > 0 && this.all >= connectionsMax) return false;
    const own = this.#byClient.get(client) ?? 0;
    if (connectionsPerClientMax > 0 && client !== "") {
      if (own >= connectionsPerClientMax) return false;
      if (own + this.#shared.elsewhere(client) >= connectionsPerClientMax) return false;
    }
    this.#shared.count(client, 1);
    this.#byClient.set(client, own + 1);
    return true;
  }

  left(client: string): void {
    this.#shared.count(client, -1);
    const own = (this.#byClient.get(client) ?? 1) - 1;
    if (own === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, own);
  }
}
