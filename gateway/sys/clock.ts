/** CLOCK_BOOTTIME, the clock of leases and expiries: it counts through suspend, as `bpf_ktime_get_boot_ns` does. Node's own `hrtime` does not. */
import { koffi, libc } from "./libc.ts";

const clockGettime = libc.func("int clock_gettime(int clock, void *time)");
/** linux/time.h */
const CLOCK_BOOTTIME = 7;

/** struct timespec: seconds, nanoseconds; both 64 bits on the platforms we run on. */
const timespec = new BigInt64Array(2);
const timespecPointer = koffi.as(timespec, "void *");

/** Nanoseconds since boot, suspend included. */
export function boottimeNs(): bigint {
  clockGettime(CLOCK_BOOTTIME, timespecPointer);
  return (timespec[0] as bigint) * 1_000_000_000n + (timespec[1] as bigint);
}
