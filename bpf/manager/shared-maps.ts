/** The operator's maps in the kernel: made by declaration, kept while their schema stays, read and written as text for the admin API. */
import { bpfError } from "#core/errors/bpf.ts";
import { E2BIG, ENOSPC } from "#core/errno.ts";
import {
  isExpired,
  makeValue,
  parseKey,
  formatKey,
  readValue,
  type ReadValue,
  type ValueText,
} from "#core/map-codec.ts";
import { boottimeNs } from "#sys/clock.ts";
import { callError } from "#bpf/kernel/call.ts";
import { BPF_F_NO_PREALLOC, MAP_TYPE } from "#bpf/kernel/constants.ts";
import type { MapDeclaration } from "./declarations.ts";
import { BpfMap } from "#bpf/kernel/map.ts";
import { plainMap } from "#bpf/spec/plain-map.ts";

const TYPES = { hash: MAP_TYPE.HASH, "lru-hash": MAP_TYPE.LRU_HASH, "lpm-trie": MAP_TYPE.LPM_TRIE } as const;

/** Looked at in one sweep: 8 ms at most, and as much again for each thousand that are void. */
const SWEEP_ENTRIES = 4096;

export interface MapEntry extends ReadValue {
  readonly key: string;
}

export class SharedKernelMap {
  readonly declaration: MapDeclaration;
  readonly map: BpfMap;
  #sweptTo: Buffer | null = null;

  /** `left`: what an earlier process had under this name and schema, if anything. Taken up, entries and all, or closed. */
  constructor(declaration: MapDeclaration, left: BpfMap | null = null) {
    this.declaration = declaration;
    const { name, type, keyBytes, valueBytes, maxEntries } = declaration;
    if (left !== null && isLike(left, declaration)) {
      this.map = left;
      return;
    }
    left?.close();
    this.map = BpfMap.create(
      plainMap({
        name,
        type: TYPES[type],
        keyBytes,
        valueBytes,
        maxEntries,
        // A trie must, and a hash that is mostly empty should, take memory as it grows; an LRU has its own free list.
        flags: type === "lru-hash" ? 0 : BPF_F_NO_PREALLOC,
      }),
    );
  }

  /** Of its pin: what the bytes mean is part of it, since a map knows no more than their number. */
  static pinName({ name, key, value }: MapDeclaration): string {
    return `shared ${name} ${key} ${value}`;
  }

  /** Whether the map can stay as it is, entries and all, under this declaration. */
  fits(other: MapDeclaration): boolean {
    const mine = this.declaration;
    return (
      mine.name === other.name &&
      mine.type === other.type &&
      mine.key === other.key &&
      mine.keyBytes === other.keyBytes &&
      mine.value === other.value &&
      mine.valueBytes === other.valueBytes &&
      mine.maxEntries === other.maxEntries
    );
  }

  entries(limit: number): MapEntry[] {
    const now = boottimeNs();
    return this.map.entries(limit).map(([key, value]) => ({
      key: formatKey(this.declaration, key),
      ...readValue(this.declaration, value, now),
    }));
  }

  /** Throws PENSTOCK_BPF_MAP_TEXT, PENSTOCK_BPF_MAP_FULL. */
  put(key: string, value: ValueText): void {
    const bytes = makeValue(this.declaration, value, boottimeNs());
    const result = this.map.tryUpdate(parseKey(this.declaration, key), bytes);
    if (result === -E2BIG || result === -ENOSPC) {
      const { name, maxEntries } = this.declaration;
      throw bpfError("PENSTOCK_BPF_MAP_FULL", { detail: `${name} holds ${maxEntries} entries` });
    }
    if (result < 0) throw callError(`map_update_elem ${this.declaration.name}`, -result);
  }

  /** False when it was not there. */
  delete(key: string): boolean {
    return this.map.delete(parseKey(this.declaration, key));
  }

  /**
   * Takes void entries out; answers how many. A call looks at some thousands and the next goes on from there: a walk
   * costs a trie 1 µs an entry, and lists of operators are long and seldom void.
   */
  sweep(): number {
    if (this.declaration.value !== "expiry") return 0;
    const now = boottimeNs();
    const dead: Buffer[] = [];
    const next = this.map.eachFrom(this.#sweptTo, SWEEP_ENTRIES, (key, value) => {
      if (isExpired(value, now)) dead.push(Buffer.from(key));
    });
    this.#sweptTo = next === "unsupported" ? null : next;
    let swept = 0;
    for (const key of dead) {
      // A trie goes on from the last key, and starts over when that has gone: it stays until the next time round.
      if (this.#sweptTo?.subarray(0, key.length).equals(key) === true) continue;
      // Looked at again: a plugin may have renewed it since. What is left of that race is the time between two calls.
      const current = this.map.lookup(key);
      if (current !== null && isExpired(current, now) && this.map.delete(key)) swept++;
    }
    return swept;
  }

  close(): void {
    this.map.close();
  }
}

function isLike({ info }: BpfMap, { type, keyBytes, valueBytes, maxEntries }: MapDeclaration): boolean {
  const sizes = info.keyBytes === keyBytes && info.valueBytes === valueBytes && info.maxEntries === maxEntries;
  return sizes && info.type === TYPES[type];
}
