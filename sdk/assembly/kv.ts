// Entries of the plugin's tenant: text by text, the same in all workers and for all its plugins that the route grants `keyValue`.
import { kv_delete, kv_get, kv_increment, kv_put, kv_version } from "./host";
import { BUFFER_BYTES, bufferFor, decode, encode, encoded, encodedCopy, encodedLength, inBuffer } from "./text";

const ANY: i32 = -1;

export namespace kv {
  /** Null: there is none, it has expired, or the route does not allow it. */
  export function get(key: string): string | null {
    encode(key);
    let buffer = inBuffer;
    let length = kv_get(encoded, encodedLength, buffer, BUFFER_BYTES);
    if (length < 0) return null;
    if (length > BUFFER_BYTES) {
      buffer = bufferFor(length);
      length = kv_get(encoded, encodedLength, buffer, length);
    }
    return length < 0 ? null : decode(buffer, length);
  }

  /** Of what `get` has answered last; 0: it was not there. */
  export function version(): i32 {
    return kv_version();
  }

  /** `ttlMs` 0: for good. False: no room, or not allowed. */
  export function put(key: string, value: string, ttlMs: f64 = 0): bool {
    return store_(key, value, ttlMs, ANY) > 0;
  }

  /** Only if the entry still has the version that `version` told, 0 for none: compare and swap. */
  export function putIf(key: string, value: string, version: i32, ttlMs: f64 = 0): bool {
    return store_(key, value, ttlMs, version) > 0;
  }

  function store_(key: string, value: string, ttlMs: f64, version: i32): i32 {
    encode(key);
    const keyBytes = encodedCopy();
    const keyLength = encodedLength;
    encode(value);
    return kv_put(keyBytes, keyLength, encoded, encodedLength, ttlMs, version);
  }

  /** False: there was none. */
  export function remove(key: string): bool {
    encode(key);
    return kv_delete(encoded, encodedLength, ANY) == 1;
  }

  /** Adds, from 0 where there is none, and answers the sum; `ttlMs` counts from the first. The smallest i64: no room, or not allowed. */
  export function increment(key: string, delta: i64 = 1, ttlMs: f64 = 0): i64 {
    encode(key);
    return kv_increment(encoded, encodedLength, delta, ttlMs);
  }
}
