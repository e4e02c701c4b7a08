/** A map's keys and values by their BTF types. */
import { assert } from "#core/assert.ts";
import { decodeValue, encodeValue, type BtfValue } from "#bpf/btf/codec.ts";
import type { Btf } from "#bpf/btf/types.ts";
import type { MapDefinition } from "#bpf/spec/spec.ts";
import { deleteBatch, updateBatch } from "./batch.ts";
import type { BpfMap } from "./map.ts";

/** Keys and values as plain objects. Per-CPU values come as an array with one element for each possible CPU. */
export class TypedMap {
  readonly #map: BpfMap;
  readonly #btf: Btf;
  readonly #key: number;
  readonly #value: number;

  /** `types`: BTF ids of key and value, as a map's definition has them. The map stays the caller's. */
  constructor(map: BpfMap, btf: Btf, types: Pick<MapDefinition, "keyType" | "valueType">) {
    this.#map = map;
    this.#btf = btf;
    this.#key = types.keyType;
    this.#value = types.valueType;
  }

  get(key: BtfValue): BtfValue | undefined {
    const bytes = this.#map.lookup(encodeValue(this.#btf, this.#key, key));
    return bytes === null ? undefined : this.#decode(bytes);
  }

  set(key: BtfValue, value: BtfValue): void {
    this.#map.update(encodeValue(this.#btf, this.#key, key), this.#encode(value));
  }

  /** All of them in one call. Throws PENSTOCK_BPF_CALL at the first that can't be written, saying how many were. */
  setMany(entries: readonly (readonly [key: BtfValue, value: BtfValue])[]): void {
    const keys = entries.map(([key]) => encodeValue(this.#btf, this.#key, key));
    updateBatch(this.#map, Buffer.concat(keys), Buffer.concat(entries.map(([, value]) => this.#encode(value))));
  }

  /** Answers how many were there. */
  deleteMany(keys: readonly BtfValue[]): number {
    return deleteBatch(this.#map, Buffer.concat(keys.map((key) => encodeValue(this.#btf, this.#key, key))));
  }

  delete(key: BtfValue): boolean {
    return this.#map.delete(encodeValue(this.#btf, this.#key, key));
  }

  entries(limit?: number): [key: BtfValue, value: BtfValue][] {
    return this.#map
      .entries(limit)
      .map(([key, value]) => [decodeValue(this.#btf, this.#key, key), this.#decode(value)]);
  }

  #decode(bytes: Buffer): BtfValue {
    const slot = this.#map.perCpuBytes;
    if (slot === 0) return decodeValue(this.#btf, this.#value, bytes);
    return Array.from({ length: bytes.length / slot }, (_, i) =>
      decodeValue(this.#btf, this.#value, bytes.subarray(i * slot)),
    );
  }

  #encode(value: BtfValue): Buffer {
    const slot = this.#map.perCpuBytes;
    if (slot === 0) return encodeValue(this.#btf, this.#value, value);
    const bytes = Buffer.alloc(this.#map.valueSlotBytes);
    assert(Array.isArray(value), "a per-CPU value is an array");
    value.forEach((each: BtfValue, i) => bytes.set(encodeValue(this.#btf, this.#value, each), i * slot));
    return bytes;
  }
}
