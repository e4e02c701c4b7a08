/**
 * Shared queues of one tenant in one worker: first in, first out, bounded. Who has registered a queue is told of new items
 * when the turn is over; items stay until they are taken, also beyond the plugin that has put them there.
 */
const QUEUES_MAX = 256;
const ITEMS_MAX = 4096;
const BYTES_MAX = 1024 * 1024;

/** A plugin that wants to hear of items, until it leaves. */
export interface QueueReader {
  queueReady(id: number): void;
}

export class SharedQueue {
  readonly id: number;
  readonly #items: Uint8Array[] = [];
  #bytes = 0;
  /** Items that nobody has been told of yet. */
  #untold = 0;
  readers: QueueReader[] = [];

  constructor(id: number) {
    this.id = id;
  }

  /** False when it is full. Owns the item from here on. */
  add(item: Uint8Array): boolean {
    if (this.#items.length >= ITEMS_MAX || this.#bytes + item.length > BYTES_MAX) return false;
    this.#items.push(item);
    this.#bytes += item.length;
    if (this.#untold++ === 0) setImmediate(() => this.#tell());
    return true;
  }

  take(): Uint8Array | null {
    const item = this.#items.shift() ?? null;
    this.#bytes -= item?.length ?? 0;
    return item;
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

export class SharedQueues {
  readonly #byName = new Map<string, SharedQueue>();
  readonly #byId = new Map<number, SharedQueue>();

  /** Its id, the same for the same names; 0 when there are too many. */
  register(vmId: string, name: string, reader: QueueReader): number {
    const key = keyOf(vmId, name);
    let queue = this.#byName.get(key);
    if (queue === undefined) {
      if (this.#byId.size >= QUEUES_MAX) return 0;
      queue = new SharedQueue(this.#byId.size + 1);
      this.#byName.set(key, queue);
      this.#byId.set(queue.id, queue);
    }
    if (!queue.readers.includes(reader)) queue.readers = [...queue.readers, reader];
    return queue.id;
  }

  /** 0: nobody has registered it. */
  resolve(vmId: string, name: string): number {
    return this.#byName.get(keyOf(vmId, name))?.id ?? 0;
  }

  /** It wants to hear no more: nothing here keeps it. */
  leave(reader: QueueReader): void {
    for (const queue of this.#byId.values()) queue.readers = queue.readers.filter((one) => one !== reader);
  }

  get(id: number): SharedQueue | undefined {
    return this.#byId.get(id);
  }
}

function keyOf(vmId: string, name: string): string {
  return `${vmId}\0${name}`;
}
