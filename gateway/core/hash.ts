/**
 * A 32-bit hash of bytes: FNV-1a, and the finaliser of MurmurHash3 behind it, since keys that differ in their last byte
 * only are the common case and FNV alone leaves them neighbours. Not for secrets: who knows it can choose an endpoint,
 * which a client that can choose its key can do anyway.
 */

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** An unsigned 32-bit number. */
export function hashBytes(memory: Uint8Array, start: number, end: number, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (memory[i] as number), FNV_PRIME);
  return mix(hash);
}

/** The same of latin-1 text. */
export function hashText(text: string, seed = 0): number {
  let hash = FNV_OFFSET ^ seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ (text.charCodeAt(i) & 0xff), FNV_PRIME);
  return mix(hash);
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
