// Bytes at hand: of a body in `onRequestBody` and `onResponseBody`, of a stream in `onData`. They are the host's; what is asked for is
// copied, what is not asked for costs nothing.
import { body_get, body_size, body_skip, body_splice } from "./host";
import { bufferFor, Bytes, decode, encode, encoded, encodedLength } from "./text";

export class Body {
  /** Nothing comes after these bytes. */
  isLast: bool = false;

  get size(): i32 {
    return body_size();
  }

  /** All of it, as UTF-8. */
  get text(): string {
    const size = body_size();
    const buffer = bufferFor(size);
    return decode(buffer, body_get(0, buffer, size));
  }

  /** Puts a text in the place of all of it. False: too long. */
  setText(text: string): bool {
    return this.replace(0, body_size(), text);
  }

  append(text: string): bool {
    return this.replace(body_size(), 0, text);
  }

  prepend(text: string): bool {
    return this.replace(0, 0, text);
  }

  /** Puts a text in the place of `removed` bytes at `offset`. */
  replace(offset: i32, removed: i32, text: string): bool {
    encode(text);
    return body_splice(offset, removed, encoded, encodedLength) == 1;
  }

  /** Nothing of it goes on. */
  clear(): bool {
    return body_splice(0, body_size(), 0, 0) == 1;
  }

  // Forms without an allocation.

  /** Copies bytes from `offset` on to `pointer`; answers how many. */
  read(offset: i32, pointer: usize, capacity: i32): i32 {
    return body_get(offset, pointer, capacity);
  }

  replaceBytes(offset: i32, removed: i32, bytes: Bytes): bool {
    return body_splice(offset, removed, bytes.pointer, bytes.length) == 1;
  }
}

/** In `onRequest` or `onResponse`: this exchange's body need not be shown to the plugin. */
export function skipBody(): void {
  body_skip();
}
