/**
 * Shared queues in the tenant's key/value store: the same ones in all workers, bounded by the tenant's `keyValueBytes`; items outlive
 * the worker that has put them there, and the gateway's upgrade.
 *
 *     proxy-wasm/queue/ID     next to be taken u32 · next to be put u32 · VM id, NUL, name
 *     proxy-wasm/item/ID/SEQ  bytes
 *
 * The id is a hash of the names, so that all workers find the same one, also after the entries have been cleared. Each call holds the
 * store as a whole. A process that dies in the middle leaves an item that the next one overwrites, or a gap, which is passed over.
 *
 * Readers of the worker that has put an item are told at the end of its turn. Those of others look by themselves, from time to time:
 * what is still there by then has nobody over there who would take it.
 */
import { createHash } from "node:crypto";
import {
  KV_ANY,
  KV_KEY_BYTES_MAX,
  KV_VALUE_BYTES_MAX,
  type KeyValueStore,
  type TenantAccount,
} from "#pipeline/tenant.ts";
import { type Added, type QueueReader, QUEUES_MAX, type Queues, type Taken } from "./queues.ts";

const ITEMS_MAX = 4096;
const LOOK_EVERY_MS = 250;
/** Names with the same hash, tried one after the other. */
const PROBES_MAX = 8;
const ID_MASK = 0x7fff_ffff;
const HEAD_BYTES = 8;

const EMPTY = new Uint8Array(0);

interface Place {
  head: number;
  tail: number;
  readonly name: Uint8Array;
}

/** A queue that guests of this worker are told of. */
interface Watched {
  readers: QueueReader[];
  /** Items before this one they have been told of. */
  toldTo: number;
  looking: boolean;
}

export class StoredQueues implements Queues {
  readonly #tenant: Pick<TenantAccount, "keyValue">;
  /** Of queues that guests of this worker have registered, by id. */
  readonly #names = new Map<number, Uint8Array>();
  readonly #watched = new Map<number, Watched>();
  #timer: NodeJS.Timeout | null = null;

  /** The store is asked for at each call: it is another one when the tenant's quota has changed. */
  constructor(tenant: Pick<TenantAccount, "keyValue">) {
    this.#tenant = tenant;
  }

  register(vmId: string, name: string): number {
    const wanted = nameOf(vmId, name);
    if (wanted.length > KV_KEY_BYTES_MAX) return 0;
    let registered = 0;
    this.#together((store) => {
      const { id, place } = find(store, wanted);
      if (id === 0) return;
      if (!this.#names.has(id) && this.#names.size >= QUEUES_MAX) return;
      if (place === null && !write(store, id, { head: 0, tail: 0, name: wanted })) return;
      registered = id;
      this.#names.set(id, wanted);
    });
    return registered;
  }

  listen(id: number, reader: QueueReader): void {
    const watched = this.#watched.get(id) ?? { readers: [], toldTo: 0, looking: false };
    if (!this.#names.has(id) || watched.readers.includes(reader)) return;
    watched.readers = [...watched.readers, reader];
    // What is there already nobody else may have been told of.
    watched.toldTo = this.#read(id)?.head ?? 0;
    this.#watched.set(id, watched);
    this.#lookSoon(id);
    this.#timer ??= setInterval(() => this.#lookAtAll(), LOOK_EVERY_MS).unref();
  }

  resolve(vmId: string, name: string): number {
    let resolved = 0;
    this.#together((store) => {
      const { id, place } = find(store, nameOf(vmId, name));
      if (place !== null) resolved = id;
    });
    return resolved;
  }

  leave(reader: QueueReader): void {
    for (const [id, watched] of this.#watched) {
      watched.readers = watched.readers.filter((one) => one !== reader);
      if (watched.readers.length === 0) this.#watched.delete(id);
    }
    if (this.#watched.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }

  add(id: number, item: Uint8Array): Added {
    let added = "refused" as Added;
    this.#together((store) => {
      const place = this.#placeOf(store, id);
      if (place === null) added = "absent";
      if (place === null || distance(place.head, place.tail) >= ITEMS_MAX || item.length > KV_VALUE_BYTES_MAX) return;
      const key = itemKey(id, place.tail);
      if (store.put(key, item, 0, KV_ANY) <= 0) return;
      place.tail = next(place.tail);
      if (write(store, id, place)) added = "added";
      else store.delete(key, KV_ANY);
    });
    if (added === "added") this.#lookSoon(id);
    return added;
  }

  take(id: number): Taken {
    let taken = "busy" as Taken;
    this.#together((store) => {
      const place = this.#placeOf(store, id);
      taken = place === null ? "absent" : "empty";
      if (place === null || place.head === place.tail) return;
      while (place.head !== place.tail && taken === "empty") {
        const key = itemKey(id, place.head);
        taken = store.get(key)?.value ?? "empty";
        store.delete(key, KV_ANY);
        place.head = next(place.head);
      }
      write(store, id, place);
    });
    return taken;
  }

  /** Null: there is no such queue. One of ours whose entries have been cleared begins anew. */
  #placeOf(store: KeyValueStore, id: number): Place | null {
    const place = read(store, id);
    const name = this.#names.get(id);
    return place ?? (name === undefined ? null : { head: 0, tail: 0, name });
  }

  #lookSoon(id: number): void {
    const watched = this.#watched.get(id);
    if (watched === undefined || watched.looking) return;
    watched.looking = true;
    setImmediate(() => {
      watched.looking = false;
      this.#look(id, watched);
    });
  }

  #lookAtAll(): void {
    for (const [id, watched] of this.#watched) this.#look(id, watched);
  }

  /** Tells readers once for each item that they have not been told of and that is still there: one may take just one each time. */
  #look(id: number, watched: Watched): void {
    const at = this.#read(id);
    if (at === null) return;
    const { head, tail } = at;
    // Not behind what has been taken, and not beyond what has been put: then the queue has begun anew.
    const known = distance(head, watched.toldTo) <= distance(head, tail) ? watched.toldTo : head;
    watched.toldTo = tail;
    for (let items = distance(known, tail); items > 0; items--) {
      const now = this.#read(id);
      if (now === null || now.head === now.tail) return;
      for (const reader of watched.readers) reader.queueReady(id);
    }
  }

  #read(id: number): Place | null {
    const store = this.#tenant.keyValue;
    return store === null ? null : read(store, id);
  }

  #together(run: (store: KeyValueStore) => void): void {
    const store = this.#tenant.keyValue;
    store?.together(() => run(store));
  }
}

/** The queue of that name, or where it would be (`place` null); id 0: nowhere. */
function find(store: KeyValueStore, name: Uint8Array): { readonly id: number; readonly place: Place | null } {
  const first = createHash("sha256").update(name).digest().readUInt32LE();
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const id = (first + probe) & ID_MASK || 1;
    const place = read(store, id);
    if (place === null || Buffer.compare(place.name, name) === 0) return { id, place };
  }
  return { id: 0, place: null };
}

function read(store: KeyValueStore, id: number): Place | null {
  const value = store.get(queueKey(id))?.value ?? EMPTY;
  if (value.length < HEAD_BYTES) return null;
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return { head: view.getUint32(0, true), tail: view.getUint32(4, true), name: value.subarray(HEAD_BYTES) };
}

function write(store: KeyValueStore, id: number, { head, tail, name }: Place): boolean {
  const value = new Uint8Array(HEAD_BYTES + name.length);
  const view = new DataView(value.buffer);
  view.setUint32(0, head, true);
  view.setUint32(4, tail, true);
  value.set(name, HEAD_BYTES);
  return store.put(queueKey(id), value, 0, KV_ANY) > 0;
}

function queueKey(id: number): Uint8Array {
  return Buffer.from(`proxy-wasm/queue/${id}`, "latin1");
}

function itemKey(id: number, sequence: number): Uint8Array {
  return Buffer.from(`proxy-wasm/item/${id}/${sequence}`, "latin1");
}

function nameOf(vmId: string, name: string): Uint8Array {
  return Buffer.from(`${vmId}\0${name}`, "latin1");
}

function next(sequence: number): number {
  return (sequence + 1) >>> 0;
}

function distance(from: number, to: number): number {
  return (to - from) >>> 0;
}
