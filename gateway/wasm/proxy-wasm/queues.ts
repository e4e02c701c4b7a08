/**
 * Shared queues of a tenant: first in, first out, bounded. Who has registered a queue is told of new items when the turn is over;
 * items stay until they are taken, also beyond the plugin that has put them there. Here, those of one worker; `stored-queues.ts` has
 * those of all.
 */

/** Of one worker. */
export const QUEUES_MAX = 256;
const ITEMS_MAX = 4096;
const BYTES_MAX = 1024 * 1024;

/** A plugin that wants to hear of items, until it leaves. */
export interface QueueReader {
  queueReady(id: number): void;
}

/** `absent`: there is no such queue. `refused`: it is full, or the store is busy. */
export type Added = "added" | "absent" | "refused";
export type Taken = Uint8Array | "absent" | "empty" | "busy";

export interface Queues {
  /** Its id, the same for the same names; 0 when there are too many. */
  register(vmId: string, name: string): number;
  /** 0: nobody has registered it. */
  resolve(vmId: string, name: string): number;
  /** It is told of items of a queue that was registered here. */
  listen(id: number, reader: QueueReader): void;
  /** It wants to hear no more: nothing here keeps it. */
  leave(reader: QueueReader): void;
  /** Owns the item from here on. */
  add(id: number, item: Uint8Array): Added;
  take(id: number): Taken;
}

class LocalQueue {
  readonly id: number;
  readonly #items: Uint8Array[] = [];
  #bytes = 0;
  /** Items that nobody has been told of yet. */
  #untold = 0;
  readers: QueueReader[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /** False when it is full. */
  add(item: Uint8Array): boolean {
    if (this.#items.length >= ITEMS_MAX || this.#bytes + item.length > BYTES_MAX) return false;
    this.#items.push(item);
    this.#bytes += item.length;
    if (this.#untold++ === 0) setImmediate(() => this.#tell());
    return true;
  }

  take(): Uint8Array | "empty" {
    const item = this.#items.shift();
    this.#bytes -= item?.length ?? 0;
    return item ?? "empty";
  }

  /** Once for each item: a reader may take just one each time. */
  #tell(): void {
    const items = this.#untold;
    this.#untold = 0;
    for (let item = 0; item < items && this.#items.length > 0; item++) {
      for (const reader of this.readers) reader.queueReady(this.id);
    }
  }
}

export class LocalQueues implements Queues {
  readonly #byName = new Map<string, LocalQueue>();
  readonly #byId = new Map<number, LocalQueue>();

  register(vmId: string, name: string): number {
    const key = keyOf(vmId, name);
    let queue = this.#byName.get(key);
    if (queue === undefined) {
      if (this.#byId.size >= QUEUES_MAX) return 0;
      queue = new LocalQueue(this.#byId.size + 1);
      this.#byName.set(key, queue);
      this.#byId.set(queue.id, queue);
    }
    return queue.id;
  }

  listen(id: number, reader: QueueReader): void {
    const queue = this.#byId.get(id);
    if (queue !== undefined && !queue.readers.includes(reader)) queue.readers = [...queue.readers, reader];
  }

  resolve(vmId: string, name: string): number {
    return this.#byName.get(keyOf(vmId, name))?.id ?? 0;
  }

  leave(reader: QueueReader): void {
    for (const queue of this.#byId.values()) queue.readers = queue.readers.filter((one) => one !== reader);
  }

  add(id: number, item: Uint8Array): Added {
    const queue = this.#byId.get(id);
    if (queue === undefined) return "absent";
    return queue.add(item) ? "added" : "refused";
  }

  take(id: number): Taken {
    return this.#byId.get(id)?.take() ?? "absent";
  }
}

function keyOf(vmId: string, name: string): string {
  return `${vmId}\0${name}`;
}
