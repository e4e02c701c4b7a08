/**
 * The caps on client connections of one worker: all together, and of one address. Counted here and not by listener, since
 * it is the worker's memory and descriptors that they protect.
 */
import type { SettingsSpec } from "#snapshot/snapshot.ts";

export class ClientConnections {
  readonly #byClient = new Map<string, number>();
  #all = 0;

  get all(): number {
    return this.#all;
  }

  /** Counts one more; false, and none counted, when that is one too many. `client`: the address as text; empty: a Unix socket. */
  admit(client: string, { connectionsMax = 0, connectionsPerClientMax = 0 }: SettingsSpec): boolean {
    if (connectionsMax > 0 && this.#all >= connectionsMax) return false;
    const own = this.#byClient.get(client) ?? 0;
    if (connectionsPerClientMax > 0 && own >= connectionsPerClientMax && client !== "") return false;
    this.#all++;
    this.#byClient.set(client, own + 1);
    return true;
  }

  left(client: string): void {
    this.#all--;
    const own = (this.#byClient.get(client) ?? 1) - 1;
    if (own === 0) this.#byClient.delete(client);
    else this.#byClient.set(client, own);
  }
}
