/** A map in memory, of the kinds that plugins can share with the kernel. Time stands still: nothing expires. */
import { MAP_KEYS, MAP_VALUES } from "#sdk/types/abi.ts";
import { addressText, prefixText } from "./addresses.ts";

export interface FakeMapSpec {
  readonly key: keyof typeof MAP_KEYS;
  readonly value: keyof typeof MAP_VALUES;
  /** Of `bytes` keys and values; 16 and 32 when not given. */
  readonly keyBytes?: number;
  readonly valueBytes?: number;
}

export class FakeMap {
  readonly spec: FakeMapSpec;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly #entries = new Map<string, Uint8Array>();
  /** The keys' own bytes. */
  readonly #keys = new Map<string, Uint8Array>();

  constructor(spec: FakeMapSpec) {
    this.spec = spec;
    const sizes = { ip: 16, "ip-prefix": 20, bytes: spec.keyBytes ?? 16 };
    this.keyBytes = sizes[spec.key];
    this.valueBytes = spec.value === "bytes" ? (spec.valueBytes ?? 32) : 8;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#entries.get(this.#text(key));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#entries.set(this.#text(key), value.slice());
    this.#keys.set(this.#text(key), key.slice());
  }

  delete(key: Uint8Array): boolean {
    this.#keys.delete(this.#text(key));
    return this.#entries.delete(this.#text(key));
  }

  /** The key after this one, or the first. */
  next(key: Uint8Array | null): Uint8Array | undefined {
    const keys = [...this.#keys.values()];
    if (key === null) return keys[0];
    const text = this.#text(key);
    return keys[[...this.#keys.keys()].indexOf(text) + 1];
  }

  increment(key: Uint8Array, delta: bigint): bigint {
    const before = this.get(key);
    const sum = (before === undefined ? 0n : new DataView(before.buffer).getBigInt64(0, true)) + delta;
    const value = new Uint8Array(8);
    new DataView(value.buffer).setBigInt64(0, sum, true);
    this.put(key, value);
    return sum;
  }

  /** All entries as text: counters and expiries (in ns) as numbers, bytes up to their first zero. */
  entries(): Record<string, string | number> {
    const all: Record<string, string | number> = {};
    for (const [key, value] of this.#entries) {
      all[key] =
        this.spec.value === "bytes" ? untilZero(value) : Number(new DataView(value.buffer).getBigUint64(0, true));
    }
    return all;
  }

  #text(key: Uint8Array): string {
    if (this.spec.key === "ip") return addressText(key);
    return this.spec.key === "ip-prefix" ? prefixText(key) : untilZero(key);
  }
}

function untilZero(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
