// Time and chance.
import { now_ms, random_bytes } from "./host";

const buffer: usize = memory.data(8, 8);

/** Milliseconds since the epoch. Stands still within a hook, except over a fetch. */
export function nowMs(): i64 {
  return <i64>now_ms();
}

/** A random 64-bit number, of cryptographic quality. */
export function randomU64(): u64 {
  random_bytes(buffer, 8);
  return load<u64>(buffer);
}
