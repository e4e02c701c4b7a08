/**
 * The serialised form of a map (Proxy-Wasm ABI, "Serialization"): little-endian, every text followed by a NUL.
 *
 *     u32 pairs | u32 name bytes, u32 value bytes (for each) | name NUL value NUL (for each)
 *
 * Pure: bytes in, pairs out and the other way. Texts are one character a byte, as header fields are.
 */
export type Pair = readonly [string, string];

const WORD = 4;
/** What a guest may hand over: more than any head the gateway sends on. */
export const PAIRS_MAX = 1024;
export const PAIRS_BYTES_MAX = 256 * 1024;

/** Null for bytes that are no such map. Nothing, and a single zero byte or word, are the empty map. */
export function decodePairs(bytes: Uint8Array): Pair[] | null {
  if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 0)) return [];
  if (bytes.length < WORD || bytes.length > PAIRS_BYTES_MAX) return null;
  const text = Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.length);
  const count = text.readUInt32LE(0);
  let at = WORD + count * 2 * WORD;
  if (count > PAIRS_MAX || at > bytes.length) return null;
  const pairs: Pair[] = [];
  for (let index = 0; index < count; index++) {
    const sizes = WORD + index * 2 * WORD;
    const nameEnd = at + text.readUInt32LE(sizes);
    const valueEnd = nameEnd + 1 + text.readUInt32LE(sizes + WORD);
    if (valueEnd >= bytes.length || bytes[nameEnd] !== 0 || bytes[valueEnd] !== 0) return null;
    pairs.push([text.toString("latin1", at, nameEnd), text.toString("latin1", nameEnd + 1, valueEnd)]);
    at = valueEnd + 1;
  }
  return at === bytes.length ? pairs : null;
}

/** Nothing for the empty map. */
export function encodePairs(pairs: readonly Pair[]): Uint8Array {
  if (pairs.length === 0) return new Uint8Array();
  const bytes = Buffer.alloc(pairs.reduce((sum, [name, value]) => sum + pairBytes(name.length, value.length), WORD));
  bytes.writeUInt32LE(pairs.length, 0);
  let at = WORD + pairs.length * 2 * WORD;
  for (const [index, [name, value]] of pairs.entries()) {
    const sizes = WORD + index * 2 * WORD;
    bytes.writeUInt32LE(name.length, sizes);
    bytes.writeUInt32LE(value.length, sizes + WORD);
    at += bytes.write(name, at, "latin1") + 1;
    at += bytes.write(value, at, "latin1") + 1;
  }
  return bytes;
}

/** What one pair adds to the size of a map. */
export function pairBytes(nameBytes: number, valueBytes: number): number {
  return 2 * WORD + nameBytes + 1 + valueBytes + 1;
}

export const PAIRS_HEAD_BYTES: number = WORD;
