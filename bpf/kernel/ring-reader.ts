/**
 * The consumer's side of a BPF ring buffer, over memory that is already mapped. No system calls: what there is to read
 * stands in the producer's position and in the records' headers, and what has been read is told by a store.
 *
 *     consumer   [ position:64 | … ]                                    one page, ours to write
 *     producer   [ position:64 | … ]                                    one page
 *     data       [ length:32 page:32 | record … | padding to 8 | … ]    the ring, mapped twice in a row, so that no
 *                  bit 31: being written; bit 30: discarded              record is ever cut in two
 *
 * Positions only grow; their low bits are offsets in the ring. The kernel wakes a reader only for a record that begins
 * where the reader says it stands, so the last look at the ring must come after the last store: both are Atomics, which
 * the processor may not reorder.
 *
 * Source: kernel/bpf/ringbuf.c; Documentation/bpf/ringbuf.rst. Little-endian, as the machines we run on.
 */
import { assert } from "#core/assert.ts";

const DISCARDED = 1 << 30;
const LENGTH_MASK = DISCARDED - 1;
const HEADER_BYTES = 8;
const WORD = 2 ** 32;

/** Is lent the ring: the record's bytes are `[at, at + length)`, until it returns. Beginnings are multiples of 8. */
export type RecordVisitor = (ring: Buffer, at: number, length: number) => void;

export class RingReader {
  readonly #ring: Buffer;
  readonly #headers: Int32Array;
  readonly #consumer: Int32Array;
  readonly #consumerWhole: BigUint64Array;
  readonly #producer: Int32Array;
  readonly #mask: number;
  /** Of the next record; exact for nine petabytes. */
  #position: number;

  /** `data` is the ring twice; its size, a power of two, is half of that. Takes up where `consumer` stands. */
  constructor(consumer: ArrayBuffer, producer: ArrayBuffer, data: Buffer) {
    const bytes = data.length / 2;
    assert(bytes >= HEADER_BYTES && bytes <= 1 << 30 && (bytes & (bytes - 1)) === 0, `a ring of ${bytes} bytes`);
    this.#ring = data;
    this.#headers = new Int32Array(data.buffer, data.byteOffset, data.length / 4);
    this.#consumer = new Int32Array(consumer, 0, 1);
    this.#consumerWhole = new BigUint64Array(consumer, 0, 1);
    this.#producer = new Int32Array(producer, 0, 1);
    this.#mask = bytes - 1;
    this.#position = Number(Atomics.load(this.#consumerWhole, 0));
  }

  /** Bytes, headers included, that stand between the producer and us. */
  get pendingBytes(): number {
    // The low words suffice: a ring is smaller than what they count.
    return (Atomics.load(this.#producer, 0) - this.#position) >>> 0;
  }

  /**
   * Visits up to `limit` records and answers how many it visited; discarded ones are passed over. Stops in front of a
   * record that is still being written, whose writer wakes the reader. A record whose visitor throws counts as read.
   */
  consume(visit: RecordVisitor, limit = Number.POSITIVE_INFINITY): number {
    let visited = 0;
    while (visited < limit && this.pendingBytes !== 0) {
      const at = this.#position & this.#mask;
      const header = Atomics.load(this.#headers, at >> 2);
      if (header < 0) break;
      const length = header & LENGTH_MASK;
      try {
        if ((header & DISCARDED) === 0) {
          visited++;
          visit(this.#ring, at + HEADER_BYTES, length);
        }
      } finally {
        this.#advance(HEADER_BYTES + length);
      }
    }
    return visited;
  }

  #advance(bytes: number): void {
    const before = this.#position;
    this.#position += (bytes + 7) & ~7;
    // The kernel reads all 64 bits at once; while the upper half stays, storing the lower is the same, and no BigInt.
    if (Math.floor(this.#position / WORD) === Math.floor(before / WORD)) {
      Atomics.store(this.#consumer, 0, this.#position | 0);
    } else {
      Atomics.store(this.#consumerWhole, 0, BigInt(this.#position));
    }
  }
}
