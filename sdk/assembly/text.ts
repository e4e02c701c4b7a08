// Text between AssemblyScript's UTF-16 and the host's bytes. Two static buffers, one for what comes in and one for what
// goes out, so that nothing is allocated for the passing.

/** Values up to here pass without an allocation beyond the string itself. */
export const BUFFER_BYTES: i32 = 8192;
/** Filled by the host. */
export const inBuffer: usize = memory.data(8192, 16);
const outBuffer: usize = memory.data(8192, 16);

/** Where `encode` has put the bytes, and how many. Valid until the next `encode`. */
export let encoded: usize = 0;
export let encodedLength: i32 = 0;

/** Bytes to a string: UTF-8, with a short way for ASCII. */
export function decode(pointer: usize, length: i32): string {
  let any: u32 = 0;
  for (let at = 0; at < length; at++) any |= load<u8>(pointer + at);
  if (any >= 0x80) return String.UTF8.decodeUnsafe(pointer, length);
  const text = changetype<string>(__new(<usize>length << 1, idof<string>()));
  const start = changetype<usize>(text);
  for (let at = 0; at < length; at++) store<u16>(start + (<usize>at << 1), load<u8>(pointer + at));
  return text;
}

/** A string to bytes in the out buffer; a longer one gets memory of its own, given back when the hook ends. */
export function encode(text: string): void {
  const length = text.length;
  encoded = outBuffer;
  if (length > BUFFER_BYTES) encoded = heap.alloc(<usize>length);
  const start = changetype<usize>(text);
  let any: u32 = 0;
  for (let at = 0; at < length; at++) {
    const code = <u32>load<u16>(start + (<usize>at << 1));
    any |= code;
    store<u8>(encoded + at, <u8>code);
  }
  encodedLength = length;
  if (any < 0x80) return;
  encodedLength = String.UTF8.byteLength(text);
  encoded = encodedLength > BUFFER_BYTES ? heap.alloc(<usize>encodedLength) : outBuffer;
  String.UTF8.encodeUnsafe(start, length, encoded);
}

/** A copy of what `encode` has made, for when a second text must be encoded beside it. */
export function encodedCopy(): usize {
  const copy = heap.alloc(<usize>encodedLength);
  memory.copy(copy, encoded, encodedLength);
  return copy;
}

/** A buffer that holds `length` bytes: the in buffer, or one of the heap. */
export function bufferFor(length: i32): usize {
  return length <= BUFFER_BYTES ? inBuffer : heap.alloc(<usize>length);
}

/** Compares in a time that depends on the lengths only: for secrets. */
export function sameSecret(a: string, b: string): bool {
  if (a.length != b.length) return false;
  let difference: u32 = 0;
  for (let at = 0; at < a.length; at++) difference |= <u32>(a.charCodeAt(at) ^ b.charCodeAt(at));
  return difference == 0;
}

/** Bytes that are made once and then compared and sent without a string: the fast forms take them. */
export class Bytes {
  readonly pointer: usize;
  readonly length: i32;

  constructor(text: string) {
    encode(text);
    this.pointer = encodedCopy();
    this.length = encodedLength;
  }

  /** Compares with the first `length` bytes at `pointer`, in a time that depends on the lengths only. */
  equals(pointer: usize, length: i32): bool {
    if (length != this.length) return false;
    let difference: u32 = 0;
    for (let at = 0; at < length; at++) difference |= load<u8>(pointer + at) ^ load<u8>(this.pointer + at);
    return difference == 0;
  }
}
