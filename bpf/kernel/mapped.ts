/**
 * Values in memory that programs and user space share: global variables (.data, .bss) and the entries of BPF_F_MMAPABLE
 * arrays. Reading and writing them is loads and stores, a few nanoseconds, and can't fail.
 *
 * A value of 1, 2, 4 or 8 bytes at a multiple of its size, as compilers place them, is read and written at once: no
 * program sees half of it. Larger ones are copied, and a program may see, or leave, a mixture. The memory is the map's:
 * it must outlive what is made here.
 */
import { assert } from "#core/assert.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { decodeValue, encodeValue, type BtfValue } from "#bpf/btf/codec.ts";
import type { Btf } from "#bpf/btf/types.ts";
import { MAP_TYPE } from "./constants.ts";
import type { BpfMap } from "./map.ts";

type Word = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

export class MappedValue {
  /** The shared bytes themselves. */
  readonly bytes: Buffer;
  readonly #btf: Btf;
  readonly #type: number;
  readonly #word: Word | null;

  /** `type`: BTF id. */
  constructor(btf: Btf, type: number, memory: ArrayBuffer, offset: number) {
    this.#btf = btf;
    this.#type = type;
    this.bytes = Buffer.from(memory, offset, btf.sizeOf(type));
    this.#word = wordAt(memory, offset, this.bytes.length);
  }

  get(): BtfValue {
    const copy = Buffer.alloc(this.bytes.length);
    const word = this.#word;
    if (word instanceof BigUint64Array) copy.writeBigUInt64LE(Atomics.load(word, 0));
    else if (word !== null) copy.writeUIntLE(Atomics.load(word, 0), 0, copy.length);
    else this.bytes.copy(copy);
    return decodeValue(this.#btf, this.#type, copy);
  }

  /** Throws PENSTOCK_BPF_TYPES. */
  set(value: BtfValue): void {
    const encoded = encodeValue(this.#btf, this.#type, value);
    const word = this.#word;
    if (word instanceof BigUint64Array) Atomics.store(word, 0, encoded.readBigUInt64LE());
    else if (word !== null) Atomics.store(word, 0, encoded.readUIntLE(0, encoded.length));
    else encoded.copy(this.bytes);
  }
}

function wordAt(memory: ArrayBuffer, offset: number, bytes: number): Word | null {
  if (offset % bytes !== 0) return null;
  if (bytes === 8) return new BigUint64Array(memory, offset, 1);
  if (bytes === 4) return new Uint32Array(memory, offset, 1);
  if (bytes === 2) return new Uint16Array(memory, offset, 1);
  return bytes === 1 ? new Uint8Array(memory, offset, 1) : null;
}

export class MappedArray {
  readonly length: number;
  readonly #values: (MappedValue | undefined)[] = [];
  readonly #map: BpfMap;
  readonly #btf: Btf;
  readonly #type: number;

  /** Throws PENSTOCK_BPF_TYPES for other kinds of map, SystemCallError where the array was made without BPF_F_MMAPABLE. */
  constructor(map: BpfMap, btf: Btf, valueType: number) {
    if (map.info.type !== MAP_TYPE.ARRAY) throw bpfError("PENSTOCK_BPF_TYPES", { detail: `${map.name} is no array` });
    map.memory();
    this.length = map.info.maxEntries;
    this.#map = map;
    this.#btf = btf;
    this.#type = valueType;
  }

  /** The entry; the same object each time. */
  at(index: number): MappedValue {
    assert(Number.isInteger(index) && index >= 0 && index < this.length, `entry ${index} of ${this.#map.name}`);
    const offset = index * this.#map.strideBytes;
    return (this.#values[index] ??= new MappedValue(this.#btf, this.#type, this.#map.memory(), offset));
  }
}
