/** Counters of programs: per-CPU arrays of 64-bit numbers, which no CPU shares with another while it counts. */
import type { BpfMap } from "./map.ts";

/** The 64-bit words of a per-CPU value, summed over the CPUs; signed, as what one CPU counts up another may count down. */
export function sumWords(value: Buffer, words: number): number[] {
  const stride = words * 8;
  return Array.from({ length: words }, (_, i) => {
    let sum = 0n;
    for (let at = i * 8; at + 8 <= value.length; at += stride) sum += value.readBigInt64LE(at);
    return Number(sum);
  });
}

/** Each slot of a per-CPU array of u64, summed over the CPUs. Exact to 2^53. */
export function sumPerCpu(map: BpfMap): number[] {
  return map.entries().map(([, value]) => {
    let sum = 0n;
    for (let at = 0; at < value.length; at += 8) sum += value.readBigUInt64LE(at);
    return Number(sum);
  });
}
