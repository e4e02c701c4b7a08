// The route's configuration for this plugin: text by key. It does not change while the guest lives, so values asked for
// by a literal key are kept.
import { keepThisHook } from "./heap";
import { config_get } from "./host";
import { BUFFER_BYTES, bufferFor, decode, encode, encoded, encodedLength, inBuffer } from "./text";

const SLOTS: i32 = 32;
const keys = new StaticArray<usize>(SLOTS);
const values = new StaticArray<string | null>(SLOTS);

function ask(key: string): string | null {
  encode(key);
  let buffer = inBuffer;
  let length = config_get(encoded, encodedLength, buffer, BUFFER_BYTES);
  if (length < 0) return null;
  if (length > BUFFER_BYTES) {
    buffer = bufferFor(length);
    length = config_get(encoded, encodedLength, buffer, length);
  }
  return decode(buffer, length);
}

export class Config {
  /** The value, or null when the route does not set it. */
  get(key: string): string | null {
    const address = changetype<usize>(key);
    if (address >= __heap_base) return ask(key);
    for (let slot = 0; slot < SLOTS; slot++) {
      const known = unchecked(keys[slot]);
      if (known == address) return unchecked(values[slot]);
      if (known == 0) {
        const value = ask(key);
        keepThisHook();
        unchecked((keys[slot] = address));
        unchecked((values[slot] = value));
        return value;
      }
    }
    return ask(key);
  }

  /** The value as an integer; `fallback` when it is not set or not one. */
  integer(key: string, fallback: i32): i32 {
    const text = this.get(key);
    if (text === null) return fallback;
    const negative = text.length > 0 && text.charCodeAt(0) == 0x2d;
    const start = negative ? 1 : 0;
    if (text.length == start || text.length > start + 10) return fallback;
    let value: i64 = 0;
    for (let at = start; at < text.length; at++) {
      const digit = text.charCodeAt(at) - 0x30;
      if (digit < 0 || digit > 9) return fallback;
      value = value * 10 + digit;
    }
    return value <= i32.MAX_VALUE ? <i32>(negative ? -value : value) : fallback;
  }
}

const instance = new Config();

export function config(): Config {
  return instance;
}
