/**
 * A map in the kernel. Owns its descriptor and, once asked for, its mapping. Keys and values are raw bytes here; see
 * typed-map.ts for plain objects.
 */
import fs from "node:fs";
import { asFd, type Fd } from "#core/brands.ts";
import { ENOENT, ENOSPC } from "#core/errno.ts";
import { assert } from "#core/assert.ts";
import { bpfError } from "#core/errors/bpf.ts";
import { BPF, BPF_ANY, bpfCall, MapIo } from "#sys/bpf.ts";
import { SystemCallError } from "#sys/libc.ts";
import { MAP_SHARED, mapMemory, PROT_READ, PROT_WRITE, type Mapping } from "#sys/memory.ts";
import type { MapDefinition } from "#bpf/spec/spec.ts";
import { batchCall, withoutBatches } from "./batch.ts";
import { callError, closeFd, mustCall, objectInfo, putName, readName } from "./call.ts";
import { BPF_F_RDONLY, MAP_TYPE, PAGE_BYTES } from "./constants.ts";
import { openIfAllowed } from "./ids.ts";
import { missingMapKind } from "./since.ts";

const PER_CPU: readonly number[] = [
  MAP_TYPE.PERCPU_HASH,
  MAP_TYPE.PERCPU_ARRAY,
  MAP_TYPE.LRU_PERCPU_HASH,
  MAP_TYPE.PERCPU_CGROUP_STORAGE,
];

/** Kinds for which the kernel refuses BTF, since their values are not the program's. */
const WITHOUT_BTF: readonly number[] = [
  MAP_TYPE.PROG_ARRAY,
  MAP_TYPE.PERF_EVENT_ARRAY,
  MAP_TYPE.STACK_TRACE,
  MAP_TYPE.CGROUP_ARRAY,
  MAP_TYPE.ARRAY_OF_MAPS,
  MAP_TYPE.HASH_OF_MAPS,
  MAP_TYPE.DEVMAP,
  MAP_TYPE.DEVMAP_HASH,
  MAP_TYPE.SOCKMAP,
  MAP_TYPE.SOCKHASH,
  MAP_TYPE.CPUMAP,
  MAP_TYPE.XSKMAP,
  MAP_TYPE.REUSEPORT_SOCKARRAY,
  MAP_TYPE.RINGBUF,
  MAP_TYPE.USER_RINGBUF,
  MAP_TYPE.BLOOM_FILTER,
];

/** Entries asked for in one call: 4096 of an address list are 112 KiB. */
const BATCH_ENTRIES = 4096;

let cpus = 0;

/** CPUs the kernel could ever bring up: per-CPU values have a slot for each. Read when first asked for, not on import. */
export function possibleCpus(): number {
  if (cpus === 0) {
    const last = fs.readFileSync("/sys/devices/system/cpu/possible", "utf8").trim().split(/[-,]/).at(-1);
    cpus = Number(last) + 1;
  }
  return cpus;
}

export interface MapInfo {
  readonly type: number;
  readonly id: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly name: string;
}

export interface MapCreation {
  /** The object's types in the kernel; absent: the map is known by its sizes only. */
  readonly btf?: Fd;
  /** Template of a map of maps. */
  readonly inner?: Fd;
}

/** Is lent both: they are overwritten, or shared, after the call. */
export type Visitor = (key: Buffer, value: Buffer) => void;

export class BpfMap {
  readonly name: string;
  readonly info: MapInfo;
  readonly fd: Fd;
  readonly #io: MapIo;
  #mapping: Mapping | null = null;

  private constructor(fd: Fd, name: string) {
    this.fd = fd;
    this.name = name;
    this.info = mapInfo(fd);
    this.#io = new MapIo(fd, this.info.keyBytes, this.valueSlotBytes);
  }

  static create(definition: MapDefinition, { btf, inner }: MapCreation = {}): BpfMap {
    const attr = Buffer.alloc(88);
    attr.writeUInt32LE(definition.type, 0);
    attr.writeUInt32LE(definition.keyBytes, 4);
    attr.writeUInt32LE(definition.valueBytes, 8);
    attr.writeUInt32LE(
      definition.maxEntries === 0 && perCpuSlots(definition.type) ? possibleCpus() : definition.maxEntries,
      12,
    );
    attr.writeUInt32LE(definition.flags, 16);
    if (inner !== undefined) attr.writeUInt32LE(inner, 20);
    putName(attr, 28, definition.name);
    if (btf !== undefined && !WITHOUT_BTF.includes(definition.type) && definition.keyType + definition.valueType > 0) {
      attr.writeUInt32LE(btf, 48);
      attr.writeUInt32LE(definition.keyType, 52);
      attr.writeUInt32LE(definition.valueType, 56);
    }
    attr.writeBigUInt64LE(definition.extra, 64);
    const result = bpfCall(BPF.MAP_CREATE, attr);
    if (result < 0) throw creationError(definition, -result);
    return BpfMap.adopt(asFd(result), definition.name);
  }

  /** Takes over a descriptor; closes it when it turns out to be no map. */
  static adopt(fd: Fd, name?: string): BpfMap {
    try {
      return new BpfMap(fd, name ?? mapInfo(fd).name);
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  /** Bytes from one CPU's value to the next; 0 for kinds with one value a key. */
  get perCpuBytes(): number {
    const { type, valueBytes } = this.info;
    return PER_CPU.includes(type) ? Math.ceil(valueBytes / 8) * 8 : 0;
  }

  /** Bytes of a value as calls carry it: per-CPU kinds have one slot of a multiple of 8 for each possible CPU. */
  get valueSlotBytes(): number {
    return this.perCpuBytes === 0 ? this.info.valueBytes : this.perCpuBytes * possibleCpus();
  }

  /** A copy of the value, or null. */
  lookup(key: Uint8Array): Buffer | null {
    this.#setKey(key);
    return this.#io.lookup() === 0 ? Buffer.from(this.#io.value) : this.#absent("lookup");
  }

  /** Of a bloom filter: false is certain, true is likely. */
  has(value: Uint8Array): boolean {
    assert(value.length === this.#io.value.length, `value of ${value.length} bytes for ${this.name}`);
    this.#io.value.set(value);
    const result = this.#io.lookup();
    if (result !== 0) this.#absence(result, "lookup");
    return result === 0;
  }

  /** The value, taken out in the same step; of a queue or a stack the next one, by a key of no bytes. */
  take(key: Uint8Array): Buffer | null {
    this.#setKey(key);
    const result = this.#io.lookupAndDelete();
    return result === 0 ? Buffer.from(this.#io.value) : this.#absence(result, "lookup_and_delete");
  }

  update(key: Uint8Array, value: Uint8Array, flags = BPF_ANY): void {
    const result = this.tryUpdate(key, value, flags);
    if (result < 0) throw callError(`map_update_elem ${this.name}`, -result);
  }

  /** 0 or −errno: −EEXIST, −E2BIG and −ENOSPC are answers, not failures. */
  tryUpdate(key: Uint8Array, value: Uint8Array, flags = BPF_ANY): number {
    this.#setKey(key);
    assert(value.length === this.#io.value.length, `value of ${value.length} bytes for ${this.name}`);
    this.#io.value.set(value);
    return this.#io.update(flags);
  }

  /** False when it was not there. */
  delete(key: Uint8Array): boolean {
    this.#setKey(key);
    const result = this.#io.delete();
    if (result === 0) return true;
    this.#absence(result, "delete");
    return false;
  }

  /**
   * Calls `visit` for each entry, at most `limit` times; what it is given is only lent. A true picture only where nobody
   * writes meanwhile. Uses batches where the kind has them (0.13 µs an entry against 2.2), single steps where not.
   */
  each(visit: Visitor, limit = Number.POSITIVE_INFINITY): void {
    let visited = 0;
    const counting: Visitor = (key, value) => {
      if (visited++ < limit) visit(key, value);
    };
    const step = this.eachFrom(null, BATCH_ENTRIES, counting);
    if (step === "unsupported") {
      this.#eachByStep(visit, limit);
      return;
    }
    for (let from = step; from !== null && visited < limit;) {
      const next = this.eachFrom(from, BATCH_ENTRIES, counting);
      from = next === "unsupported" ? null : next;
    }
  }

  /**
   * Visits about `room` entries from a place in the walk on (null: its beginning) and answers the place to go on from;
   * null at the end. For walks that are spread over time. `unsupported`: this kind has no batches, nothing was visited.
   */
  eachFrom(from: Buffer | null, room: number, visit: Visitor): Buffer | null | "unsupported" {
    const { keyBytes } = this.info;
    const valueBytes = this.valueSlotBytes;
    // A place is a bucket number for hashes, a key for the others.
    const to = Buffer.alloc(Math.max(keyBytes, 8));
    for (let wanted = Math.min(room, Math.max(this.info.maxEntries, 1)); ; wanted *= 2) {
      const [keys, values] = [Buffer.alloc(wanted * keyBytes), Buffer.alloc(wanted * valueBytes)];
      const { result, count } = batchCall(BPF.MAP_LOOKUP_BATCH, this.fd, { from, to, keys, values, count: wanted });
      // A bucket of a hash is given whole or not at all.
      if (result === -ENOSPC) continue;
      if (from === null && withoutBatches(result)) return "unsupported";
      if (result < 0 && result !== -ENOENT) throw callError(`map_lookup_batch ${this.name}`, -result);
      for (let i = 0; i < count; i++) {
        visit(keys.subarray(i * keyBytes, (i + 1) * keyBytes), values.subarray(i * valueBytes, (i + 1) * valueBytes));
      }
      return result === -ENOENT ? null : to;
    }
  }

  /** Copies of the entries, at most `limit`. */
  entries(limit?: number): [key: Buffer, value: Buffer][] {
    const found: [Buffer, Buffer][] = [];
    this.each((key, value) => found.push([Buffer.from(key), Buffer.from(value)]), limit);
    return found;
  }

  /** Number of entries, by walking them: maps don't count. */
  count(): number {
    let count = 0;
    this.each(() => count++);
    return count;
  }

  /** Bytes from one value of an array to the next. */
  get strideBytes(): number {
    return Math.ceil(this.info.valueBytes / 8) * 8;
  }

  /** The values as memory, for BPF_F_MMAPABLE arrays: reads and writes without a call. Unmapped by `close`. */
  memory(): ArrayBuffer {
    const bytes = Math.ceil((this.strideBytes * this.info.maxEntries) / PAGE_BYTES) * PAGE_BYTES;
    this.#mapping ??= mapMemory(bytes, this.fd, 0, MAP_SHARED, PROT_READ | PROT_WRITE);
    return this.#mapping.bytes;
  }

  /** No more writes from user space; the verifier may take the contents for constants. */
  freeze(): void {
    const attr = Buffer.alloc(4);
    attr.writeUInt32LE(this.fd, 0);
    mustCall(BPF.MAP_FREEZE, attr, `map_freeze ${this.name}`);
  }

  /**
   * A second descriptor that can look up and iterate only, the caller's to close; null without CAP_SYS_ADMIN, which the
   * kernel asks for to open a map by its id.
   */
  openReadOnly(): Fd | null {
    return openIfAllowed("map", this.info.id, BPF_F_RDONLY);
  }

  close(): void {
    this.#mapping?.unmap();
    this.#mapping = null;
    closeFd(this.fd);
  }

  #setKey(key: Uint8Array): void {
    assert(key.length === this.#io.key.length, `key of ${key.length} bytes for ${this.name}`);
    this.#io.key.set(key);
  }

  #absent(call: string): null {
    // The call is made again for its errno: the fast path above compares with 0 only.
    return this.#absence(this.#io.lookup(), call);
  }

  #absence(result: number, call: string): null {
    if (result === 0 || result === -ENOENT) return null;
    throw callError(`map_${call}_elem ${this.name}`, -result);
  }

  #eachByStep(visit: Visitor, limit: number): void {
    // A key deleted while we stand on it starts the walk over: bounded, so that a busy map can't hold us for ever.
    const stepsMax = 2 * this.info.maxEntries;
    let visited = 0;
    let result = this.#io.firstKey();
    for (let step = 0; result === 0 && visited < limit && step < stepsMax; step++) {
      if (this.#io.lookup() === 0) {
        // The visitor may use this map: it must not get the buffers that the walk itself stands on.
        visit(Buffer.from(this.#io.key), Buffer.from(this.#io.value));
        visited++;
      }
      result = this.#io.nextKey();
    }
    if (result < 0 && result !== -ENOENT) throw callError(`map_get_next_key ${this.name}`, -result);
  }
}

function creationError({ name, type }: MapDefinition, errno: number): Error {
  const missing = missingMapKind(type);
  if (missing === null) return callError(`map_create ${name}`, errno);
  const cause = new SystemCallError("bpf map_create", errno, name);
  return bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: `${cause.message}: ${missing}`, cause });
}

/** Kinds whose size is the number of CPUs when nothing else is said. */
function perCpuSlots(type: number): boolean {
  return type === MAP_TYPE.PERF_EVENT_ARRAY;
}

/** struct bpf_map_info */
function mapInfo(fd: Fd): MapInfo {
  const info = objectInfo(fd, 88);
  return {
    type: info.readUInt32LE(0),
    id: info.readUInt32LE(4),
    keyBytes: info.readUInt32LE(8),
    valueBytes: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
    flags: info.readUInt32LE(20),
    name: readName(info, 24),
  };
}
