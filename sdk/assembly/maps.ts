// Maps that the kernel, the admin API, other workers and plugins share. A plugin gets those that its route allows.
import { parseAddress, parsePrefix, prefixBuffer } from "./address";
import { boot_ms, map_delete, map_get, map_increment, map_next, map_open, map_put, map_shape } from "./host";
import { clientBytes } from "./request";
import { decode, encode, encoded, encodedLength } from "./text";

const KEY_IP: u32 = 1;
const KEY_PREFIX: u32 = 2;
const VALUE_BYTES: u32 = 0;
const VALUE_COUNTER: u32 = 1;
const VALUE_EXPIRY: u32 = 2;

const shape: usize = memory.data(16, 8);
const keyBuffer: usize = memory.data(256, 8);
const walkBuffer: usize = memory.data(256, 8);
const KEY_BYTES_MAX: u32 = 256;
const valueBuffer: usize = memory.data(1024, 8);
const VALUE_BYTES_MAX: u32 = 1024;

export class SharedMap {
  private handle: i32;
  private keyKind: u32;
  private valueKind: u32;
  private keyBytes: u32;
  private valueBytes: u32;

  constructor(handle: i32) {
    this.handle = handle;
    map_shape(handle, shape);
    this.keyKind = load<u32>(shape);
    this.valueKind = load<u32>(shape, 4);
    this.keyBytes = load<u32>(shape, 8);
    this.valueBytes = load<u32>(shape, 12);
  }

  /** Address of the key's bytes; 0 when the text is no key of this map. Text keys are filled up with zeros. */
  private key(text: string): usize {
    if (this.keyKind == KEY_PREFIX) return parsePrefix(text) ? prefixBuffer : 0;
    if (this.keyKind == KEY_IP) return parseAddress(text, text.length, keyBuffer) ? keyBuffer : 0;
    encode(text);
    if (<u32>encodedLength > this.keyBytes || this.keyBytes > KEY_BYTES_MAX) return 0;
    memory.fill(keyBuffer, 0, this.keyBytes);
    memory.copy(keyBuffer, encoded, encodedLength);
    return keyBuffer;
  }

  /** The client as a key: its address, or the prefix of its whole address. */
  private clientKey(): usize {
    if (this.keyKind == KEY_IP) return clientBytes();
    if (this.keyKind != KEY_PREFIX) return 0;
    store<u32>(prefixBuffer, 128);
    memory.copy(prefixBuffer + 4, clientBytes(), 16);
    return prefixBuffer;
  }

  private incrementAt(key: usize, delta: i64): i64 {
    if (key == 0 || this.valueKind != VALUE_COUNTER) return -1;
    return map_increment(this.handle, key, this.keyBytes, delta);
  }

  private putAt(key: usize, value: u64): bool {
    if (key == 0) return false;
    store<u64>(valueBuffer, value);
    return map_put(this.handle, key, this.keyBytes, valueBuffer, 8) == 1;
  }

  /** Counters: adds, from 0 where there is none, and answers the sum; −1 when key or map are not made for it. */
  increment(key: string, delta: i64 = 1): i64 {
    return this.incrementAt(this.key(key), delta);
  }

  /** The same for the client of this request, without a string. */
  incrementClient(delta: i64 = 1): i64 {
    return this.incrementAt(this.clientKey(), delta);
  }

  /** Counters: the value, 0 where there is none. */
  count(key: string): i64 {
    const at = this.key(key);
    if (at == 0 || this.valueKind != VALUE_COUNTER) return -1;
    return map_get(this.handle, at, this.keyBytes, valueBuffer, 8) < 0 ? 0 : load<i64>(valueBuffer);
  }

  /** True when there is an entry, and it has not expired. */
  has(key: string): bool {
    const at = this.key(key);
    return at != 0 && map_get(this.handle, at, this.keyBytes, valueBuffer, VALUE_BYTES_MAX) >= 0;
  }

  /** Expiries: puts the key in until `ttlSeconds` from now; 0 for ever. False: full, or not made for it. */
  putFor(key: string, ttlSeconds: i32): bool {
    return this.valueKind == VALUE_EXPIRY && this.putAt(this.key(key), expiry(ttlSeconds));
  }

  putClientFor(ttlSeconds: i32): bool {
    return this.valueKind == VALUE_EXPIRY && this.putAt(this.clientKey(), expiry(ttlSeconds));
  }

  /** Text values: filled up with zeros. False: full, too long, or not made for it. */
  put(key: string, value: string): bool {
    const at = this.key(key);
    if (at == 0 || this.valueKind != VALUE_BYTES || this.valueBytes > VALUE_BYTES_MAX) return false;
    encode(value);
    if (<u32>encodedLength > this.valueBytes) return false;
    memory.fill(valueBuffer, 0, this.valueBytes);
    memory.copy(valueBuffer, encoded, encodedLength);
    return map_put(this.handle, at, this.keyBytes, valueBuffer, this.valueBytes) == 1;
  }

  /** Text values: up to the first zero; null when there is none. */
  get(key: string): string | null {
    const at = this.key(key);
    if (at == 0 || this.valueKind != VALUE_BYTES) return null;
    const length = map_get(this.handle, at, this.keyBytes, valueBuffer, VALUE_BYTES_MAX);
    if (length < 0 || <u32>length > VALUE_BYTES_MAX) return null;
    let end = 0;
    while (end < length && load<u8>(valueBuffer + end) != 0) end++;
    return decode(valueBuffer, end);
  }

  /** False when there was none. */
  delete(key: string): bool {
    const at = this.key(key);
    return at != 0 && map_delete(this.handle, at, this.keyBytes) == 1;
  }

  /** Walks over the keys: `for (let at = map.first(); at; at = map.next()) … map.walked`. In no order; each step costs a host call. */
  first(): bool {
    const length = map_next(this.handle, 0, 0, walkBuffer, KEY_BYTES_MAX);
    return length >= 0 && <u32>length <= KEY_BYTES_MAX;
  }

  next(): bool {
    const length = map_next(this.handle, walkBuffer, this.keyBytes, walkBuffer, KEY_BYTES_MAX);
    return length >= 0 && <u32>length <= KEY_BYTES_MAX;
  }

  /** Address of the key's bytes that the walk is at. */
  get walkedBytes(): usize {
    return walkBuffer;
  }

  /** The key that the walk is at, of maps with text keys: up to the first zero. */
  get walked(): string {
    let end: u32 = 0;
    while (end < this.keyBytes && load<u8>(walkBuffer + end) != 0) end++;
    return decode(walkBuffer, end);
  }

  /** The counter at the key that the walk is at. */
  get walkedCount(): i64 {
    return map_get(this.handle, walkBuffer, this.keyBytes, valueBuffer, 8) < 0 ? 0 : load<i64>(valueBuffer);
  }

  /** Takes out the key that the walk is at; it can't go on from there: begin anew. */
  deleteWalked(): bool {
    return map_delete(this.handle, walkBuffer, this.keyBytes) == 1;
  }

  deleteClient(): bool {
    const at = this.clientKey();
    return at != 0 && map_delete(this.handle, at, this.keyBytes) == 1;
  }
}

/** Nanoseconds of CLOCK_BOOTTIME. */
function expiry(ttlSeconds: i32): u64 {
  return ttlSeconds <= 0 ? 0 : <u64>(boot_ms() * 1e6) + <u64>ttlSeconds * 1000000000;
}

export namespace maps {
  /** The map of this name; null when the route does not allow it. Open maps in onConfigure and keep them. */
  export function open(name: string): SharedMap | null {
    encode(name);
    const handle = map_open(encoded, encodedLength);
    return handle < 0 ? null : new SharedMap(handle);
  }
}

/**
 * Shuts out an address or a prefix (`203.0.113.7`, `2001:db8::/32`) for a time, in the kernel where the operator has it
 * so. False: the route does not allow the map, it is full, or the text is no prefix.
 */
export function ban(prefix: string, ttlSeconds: i32, map: string = "blocklist"): bool {
  const blocklist = maps.open(map);
  return blocklist !== null && blocklist.putFor(prefix, ttlSeconds);
}

/** The same for the client of this request. */
export function banClient(ttlSeconds: i32, map: string = "blocklist"): bool {
  const blocklist = maps.open(map);
  return blocklist !== null && blocklist.putClientFor(ttlSeconds);
}
