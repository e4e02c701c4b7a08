/**
 * A BPF_MAP_TYPE_RINGBUF as this process reads it. Owns the mappings; the map stays the caller's. One reader a ring: the
 * position is shared by whoever maps it.
 *
 * To be woken, wait for `fd` to become readable: `driver.watch(ring.fd, () => ring.consume(visit))`.
 */
import { assert } from "#core/assert.ts";
import type { Fd } from "#core/brands.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { MAP_SHARED, mapMemory, PROT_READ, PROT_WRITE, type Mapping } from "#sys/memory.ts";
import { MAP_TYPE, PAGE_BYTES } from "./constants.ts";
import type { BpfMap } from "./map.ts";
import { RingReader, type RecordVisitor } from "./ring-reader.ts";

export class RingBuffer {
  readonly fd: Fd;
  readonly #mappings: readonly Mapping[];
  #reader: RingReader | null;

  /** Needs no privileges, only the map's descriptor. Throws PENSTOCK_BPF_TYPES for another kind of map, SystemCallError. */
  constructor(map: BpfMap) {
    const { type, maxEntries: bytes, name } = map.info;
    if (type !== MAP_TYPE.RINGBUF) throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${name} is no ring buffer` });
    const consumer = mapMemory(PAGE_BYTES, map.fd, 0, MAP_SHARED, PROT_READ | PROT_WRITE);
    let producer: Mapping;
    try {
      // The kernel lets nobody write to these pages.
      producer = mapMemory(PAGE_BYTES + 2 * bytes, map.fd, PAGE_BYTES, MAP_SHARED, PROT_READ);
    } catch (error) {
      consumer.unmap();
      throw error;
    }
    this.fd = map.fd;
    this.#mappings = [consumer, producer];
    this.#reader = new RingReader(consumer.bytes, producer.bytes, Buffer.from(producer.bytes, PAGE_BYTES, 2 * bytes));
  }

  /** As RingReader.consume. The ring handed to `visit` is read-only memory: writing to it ends the process. */
  consume(visit: RecordVisitor, limit?: number): number {
    return this.#open().consume(visit, limit);
  }

  get pendingBytes(): number {
    return this.#open().pendingBytes;
  }

  /** Copies of up to `limit` records. */
  records(limit?: number): Buffer[] {
    const found: Buffer[] = [];
    this.consume((ring, at, length) => found.push(Buffer.from(ring.subarray(at, at + length))), limit);
    return found;
  }

  /** Not from within a visit: the memory goes away. */
  close(): void {
    this.#open();
    this.#reader = null;
    for (const each of this.#mappings) each.unmap();
  }

  #open(): RingReader {
    assert(this.#reader !== null, "a ring buffer is used after its end");
    return this.#reader;
  }
}
