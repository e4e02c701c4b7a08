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

/** Any of four UTF-16 units that is not ASCII. */
const WIDE: u64 = 0xff80ff80ff80ff80;

/** Bytes to a string: UTF-8, with a short way for ASCII, four characters a turn. */
export function decode(pointer: usize, length: i32): string {
  const text = changetype<string>(__new(<usize>length << 1, idof<string>()));
  let to = changetype<usize>(text);
  const end = pointer + length;
  let at = pointer;
  let any: u64 = 0;
  for (; at + 4 <= end; at += 4, to += 8) {
    let four = <u64>load<u32>(at);
    four = (four | (four << 16)) & 0x0000ffff0000ffff;
    four = (four | (four << 8)) & 0x00ff00ff00ff00ff;
    any |= four;
    store<u64>(to, four);
  }
  for (; at < end; at++, to += 2) {
    const one = load<u8>(at);
    any |= <u64>one;
    store<u16>(to, one);
  }
  return (any & WIDE) == 0 ? text : String.UTF8.decodeUnsafe(pointer, length);
}

/** A string to bytes in the out buffer; a longer one gets memory of its own, given back when the hook ends. */
export function encode(text: string): void {
  const length = text.length;
  encoded = length > BUFFER_BYTES ? heap.alloc(<usize>length) : outBuffer;
  encodedLength = length;
  let at = changetype<usize>(text);
  let to = encoded;
  const end = to + length;
  let any: u64 = 0;
  for (; to + 4 <= end; at += 8, to += 4) {
    let four = load<u64>(at);
    any |= four;
    four = (four | (four >> 8)) & 0x0000ffff0000ffff;
    store<u32>(to, <u32>(four | (four >> 16)));
  }
  for (; to < end; at += 2, to++) {
    const one = load<u16>(at);
    any |= <u64>one;
    store<u8>(to, <u8>one);
  }
  if ((any & WIDE) == 0) return;
  encodedLength = String.UTF8.byteLength(text);
  encoded = encodedLength > BUFFER_BYTES ? heap.alloc(<usize>encodedLength) : outBuffer;
  String.UTF8.encodeUnsafe(changetype<usize>(text), length, encoded);
}

/** For who has bytes already, where others have a text to encode. */
export function encodedAre(pointer: usize, length: i32): void {
  encoded = pointer;
  encodedLength = length;
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
