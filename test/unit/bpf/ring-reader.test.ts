import { beforeEach, describe, expect, it } from "vitest";
import { RingReader } from "#bpf/kernel/ring-reader.ts";

const RING_BYTES = 256;
const BUSY = 2 ** 31;
const DISCARDED = 2 ** 30;

/** A ring as the kernel writes it, in memory of our own: the second copy is kept equal by hand. */
class Ring {
  readonly consumer = new ArrayBuffer(16);
  readonly producer = new ArrayBuffer(16);
  readonly data = Buffer.from(new ArrayBuffer(2 * RING_BYTES));
  #position: bigint;

  constructor(position: bigint) {
    this.#position = position;
    new BigUint64Array(this.consumer)[0] = position;
    this.#publish();
  }

  write(content: string, flags = 0): number {
    const at = Number(this.#position % BigInt(RING_BYTES));
    this.header(at, content.length, flags);
    for (let i = 0; i < content.length; i++) this.#both(at + 8 + i, content.charCodeAt(i));
    this.#position += BigInt(8 + ((content.length + 7) & ~7));
    this.#publish();
    return at;
  }

  header(at: number, length: number, flags: number): void {
    const header = Buffer.alloc(4);
    header.writeUInt32LE(length + flags, 0);
    header.forEach((byte, i) => this.#both(at + i, byte));
  }

  get consumed(): bigint {
    return new BigUint64Array(this.consumer)[0] ?? 0n;
  }

  get produced(): bigint {
    return this.#position;
  }

  #both(at: number, byte: number): void {
    this.data[at % RING_BYTES] = byte;
    this.data[(at % RING_BYTES) + RING_BYTES] = byte;
  }

  #publish(): void {
    new BigUint64Array(this.producer)[0] = this.#position;
  }
}

describe.each([
  ["at its beginning", 0n],
  ["in front of its end", BigInt(RING_BYTES - 16)],
  ["where 32 bits end", 2n ** 32n - 16n],
  ["where 31 bits end", 2n ** 31n - 8n],
  ["far beyond 32 bits", 2n ** 40n + 8n],
])("a ring %s", (_where, start) => {
  let ring: Ring;
  let reader: RingReader;
  beforeEach(() => {
    ring = new Ring(start);
    reader = new RingReader(ring.consumer, ring.producer, ring.data);
  });

  function consume(limit?: number): string[] {
    const found: string[] = [];
    reader.consume((data, at, length) => found.push(data.toString("latin1", at, at + length)), limit);
    return found;
  }

  it("gives records whole and in order, and says how far it has read", () => {
    expect(consume()).toEqual([]);
    for (let round = 0; round < 50; round++) {
      const texts = [`first ${round}`, "", "x".repeat(1 + (round % 60))];
      for (const text of texts) ring.write(text);
      expect(reader.pendingBytes).toBeGreaterThan(0);
      expect(consume()).toEqual(texts);
      expect([ring.consumed, reader.pendingBytes]).toEqual([ring.produced, 0]);
    }
  });

  it("passes over what was discarded, and stops in front of what is being written", () => {
    ring.write("gone", DISCARDED);
    ring.write("one");
    const busy = ring.write("two", BUSY);
    ring.write("three");
    expect(consume()).toEqual(["one"]);
    expect(consume()).toEqual([]);
    ring.header(busy, 3, 0);
    expect(consume()).toEqual(["two", "three"]);
    ring.write("gone", DISCARDED);
    expect(consume()).toEqual([]);
    expect(ring.consumed).toBe(ring.produced);
  });

  it("stops at the limit, and sees what is written meanwhile", () => {
    for (const text of ["a", "b", "c"]) ring.write(text);
    expect(consume(2)).toEqual(["a", "b"]);
    let more = 3;
    const count = reader.consume(() => {
      if (more-- > 0) ring.write("later");
    });
    expect(count).toBe(4);
  });

  it("counts a record as read when its visitor throws", () => {
    ring.write("bad");
    ring.write("good");
    expect(() =>
      reader.consume(() => {
        throw new Error("no");
      }),
    ).toThrow("no");
    expect(consume()).toEqual(["good"]);
  });

  it("takes up where the reader before it stood", () => {
    ring.write("a");
    ring.write("b");
    consume(1);
    reader = new RingReader(ring.consumer, ring.producer, ring.data);
    expect(consume()).toEqual(["b"]);
  });
});

it.each([0, 8, 12, 96])("a ring of %i bytes is refused or taken by its size", (bytes) => {
  const make = () => new RingReader(new ArrayBuffer(8), new ArrayBuffer(8), Buffer.alloc(2 * bytes));
  if (bytes === 8) expect(make).not.toThrow();
  else expect(make).toThrow(/a ring of/);
});
