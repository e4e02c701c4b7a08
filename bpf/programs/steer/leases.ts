/**
 * Leases: a page of deadlines (CLOCK_BOOTTIME nanoseconds) shared with the steering programs. While a deadline lies
 * ahead the gateway vouches for itself; once it has passed, connections go straight to where they wanted to go. Renewing
 * is a store into mapped memory: no system call, nothing that could fail.
 */
import { bpfError } from "#core/errors/bpf.ts";
import { boottimeNs } from "#sys/clock.ts";
import type { BpfMap } from "#bpf/kernel/map.ts";

interface Lease {
  readonly slot: number;
  readonly lengthNs: bigint;
}

export class Leases {
  readonly #deadlines: BigUint64Array;
  readonly #held = new Map<number, Lease>();

  constructor(map: BpfMap) {
    this.#deadlines = new BigUint64Array(map.memory(), 0, map.info.maxEntries);
  }

  /** A free slot, not yet alive. */
  reserve(leaseMs: number): number {
    let slot = 0;
    while (this.#held.has(slot)) slot++;
    if (slot >= this.#deadlines.length) {
      throw bpfError("PENSTOCK_BPF_UNAVAILABLE", { detail: `no more than ${this.#deadlines.length} steering entries` });
    }
    this.#held.set(slot, { slot, lengthNs: BigInt(leaseMs) * 1_000_000n });
    Atomics.store(this.#deadlines, slot, 0n);
    return slot;
  }

  /** Ends it at once. */
  release(slot: number): void {
    Atomics.store(this.#deadlines, slot, 0n);
    this.#held.delete(slot);
  }

  /** For their length, or for `mostMs` when that is less. */
  renew(slots: Iterable<number>, mostMs = Number.POSITIVE_INFINITY): void {
    const now = boottimeNs();
    for (const slot of slots) {
      const lease = this.#held.get(slot);
      if (lease === undefined) continue;
      const most = mostMs === Number.POSITIVE_INFINITY ? lease.lengthNs : BigInt(Math.floor(mostMs * 1_000_000));
      Atomics.store(this.#deadlines, slot, now + (most < lease.lengthNs ? most : lease.lengthNs));
    }
  }

  /** Milliseconds left; 0 when it has lapsed. */
  remainingMs(slot: number): number {
    const left = Atomics.load(this.#deadlines, slot) - boottimeNs();
    return left > 0n ? Number(left / 1_000_000n) : 0;
  }
}
