/**
 * A shared map on the kernel's: one bpf(2) call an operation (1.1 µs), through a descriptor that the supervisor passed.
 * The descriptor stays the caller's. Never throws: what a plugin gets wrong, and what the kernel refuses, is answered as
 * absent or not done, and counted in `failures`.
 */
import type { Fd } from "#core/brands.ts";
import { E2BIG, EEXIST, ENOENT, ENOSPC } from "#core/errno.ts";
import type { SharedMap } from "#pipeline/filter.ts";
import { BPF_ANY, BPF_NOEXIST, MapIo } from "#sys/bpf.ts";
import { boottimeNs } from "#sys/clock.ts";
import type { SharedMapSpec } from "./spec.ts";

/**
 * Against a kernel that would refuse for ever. Among three processes that do nothing but add to one counter, the longest
 * run of meetings was beyond 64 without the pause below, and is about 20 with it.
 */
const INCREMENT_ATTEMPTS_MAX = 1000;
/** Of the processor's pause (20 to 100 ns): at most a few times as long as taking out and putting back. */
const PAUSE_TURNS_MAX = 256;

export class KernelMap implements SharedMap {
  readonly name: string;
  /** Operations that the kernel refused for another reason than absence or fullness. */
  failures = 0;
  readonly #io: MapIo;
  readonly #expires: boolean;
  readonly #counts: boolean;
  readonly #trie: boolean;
  /** State of a xorshift generator; differs between processes. */
  #random = process.pid | 1;

  constructor(spec: SharedMapSpec, fd: Fd) {
    this.name = spec.name;
    this.#io = new MapIo(fd, spec.keyBytes, spec.valueBytes);
    this.#expires = spec.value === "expiry";
    this.#counts = spec.value === "counter";
    this.#trie = spec.type === "lpm-trie";
  }

  get(key: Uint8Array): Uint8Array | null {
    const io = this.#io;
    if (key.length !== io.key.length) return null;
    io.key.set(key);
    const result = io.lookup();
    if (result !== 0) {
      if (result !== -ENOENT) this.failures++;
      return null;
    }
    return this.#expires && this.#isVoid() ? null : io.value;
  }

  put(key: Uint8Array, value: Uint8Array): boolean {
    const io = this.#io;
    if (key.length !== io.key.length || value.length !== io.value.length) return false;
    io.key.set(key);
    io.value.set(value);
    const result = io.update(BPF_ANY);
    if (result < 0 && result !== -E2BIG && result !== -ENOSPC) this.failures++;
    return result === 0;
  }

  delete(key: Uint8Array): boolean {
    const io = this.#io;
    if (key.length !== io.key.length) return false;
    io.key.set(key);
    const result = io.delete();
    if (result < 0 && result !== -ENOENT) this.failures++;
    return result === 0;
  }

  next(key: Uint8Array | null): Uint8Array | null {
    const io = this.#io;
    if (key !== null && key.length !== io.key.length) return null;
    if (key !== null) io.key.set(key);
    const result = key === null ? io.firstKey() : io.nextKey();
    if (result < 0 && result !== -ENOENT) this.failures++;
    return result === 0 ? io.key : null;
  }

  /**
   * bpf(2) can't add. So the entry is taken out, which only one worker can do, and put back with the sum, if no other has
   * begun anew meanwhile; if one has, its part is taken out too. No increment is ever lost, at the price that another
   * worker may see the entry absent for a microsecond. A trie can't take out: there, workers may overwrite each other.
   */
  increment(key: Uint8Array, delta: bigint): bigint {
    const io = this.#io;
    if (!this.#counts || key.length !== io.key.length) return 0n;
    io.key.set(key);
    let sum = delta;
    let held = false;
    for (let attempt = 0; attempt < INCREMENT_ATTEMPTS_MAX; attempt++) {
      const taken = this.#trie ? io.lookup() : io.lookupAndDelete();
      if (taken < 0 && taken !== -ENOENT) break;
      if (taken === 0) {
        sum += io.value.readBigUInt64LE(0);
        held = true;
      }
      sum = BigInt.asUintN(64, sum);
      io.value.writeBigUInt64LE(sum, 0);
      const put = io.update(this.#trie ? BPF_ANY : BPF_NOEXIST);
      if (put === 0) return sum;
      if (put === -E2BIG && !held) return sum;
      if (put !== -EEXIST) break;
      this.#pause(attempt);
    }
    this.failures++;
    // Whatever went wrong: what was taken out must not be lost with it.
    if (held) {
      io.value.writeBigUInt64LE(BigInt.asUintN(64, sum), 0);
      io.update(BPF_ANY);
    }
    return BigInt.asUintN(64, sum);
  }

  /** Two workers that meet would go on in step and meet again: each waits for a time of its own, longer each time. */
  #pause(attempt: number): void {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    const turns = (this.#random >>> 0) % Math.min(PAUSE_TURNS_MAX, 8 << Math.min(attempt, 5));
    for (let i = 0; i < turns; i++) Atomics.pause();
  }

  #isVoid(): boolean {
    const expiry = this.#io.value.readBigUInt64LE(0);
    return expiry !== 0n && expiry <= boottimeNs();
  }
}
