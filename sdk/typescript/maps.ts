import * as shared from "penstock:plugin/maps@1.0.0";
import { addressBytes, prefixBytes } from "./address.ts";
import { bytesOf, textOf } from "./text.ts";

const KEY_IP = 1;
const KEY_PREFIX = 2;

/** A map that the kernel, the admin API, other workers and plugins share. A plugin gets those that its route allows. */
export class SharedMap {
  readonly #handle: number;
  readonly #shape: shared.Shape;

  constructor(handle: number) {
    this.#handle = handle;
    this.#shape = shared.shapeOf(handle);
  }

  /** The value's bytes; null when there is none. Keys are text, or addresses and prefixes where the map has those. */
  getBytes(key: string): Uint8Array | null {
    const bytes = this.#key(key);
    return bytes === null ? null : shared.get(this.#handle, bytes);
  }

  /** Text values: up to the first zero; null when there is none. */
  get(key: string): string | null {
    const bytes = this.getBytes(key);
    return bytes === null ? null : textOf(upToZero(bytes));
  }

  /** False: full, too long, or not made for it. */
  put(key: string, value: string | Uint8Array): boolean {
    const bytes = this.#key(key);
    const filled = padded(typeof value === "string" ? bytesOf(value) : value, this.#shape.valueBytes);
    return bytes !== null && filled !== null && shared.put(this.#handle, bytes, filled);
  }

  /** False when there was none. */
  delete(key: string): boolean {
    const bytes = this.#key(key);
    return bytes !== null && shared.delete(this.#handle, bytes);
  }

  /** Counters: adds, from 0 where there is none, and answers the sum; −1 for what is no key. */
  increment(key: string, delta = 1): number {
    const bytes = this.#key(key);
    return bytes === null ? -1 : shared.increment(this.#handle, bytes, delta);
  }

  /** The keys as bytes, in no order. */
  *keys(): Generator<Uint8Array> {
    for (let at = shared.next(this.#handle, new Uint8Array(0)); at !== null; at = shared.next(this.#handle, at))
      yield at;
  }

  /** Null: the text is no key of this map. */
  #key(text: string): Uint8Array | null {
    const { key, keyBytes } = this.#shape;
    if (key === KEY_IP) return addressBytes(text);
    return key === KEY_PREFIX ? prefixBytes(text) : padded(bytesOf(text), keyBytes);
  }
}

/** Filled up with zeros; null: too long. */
function padded(bytes: Uint8Array, length: number): Uint8Array | null {
  if (bytes.length > length) return null;
  const filled = new Uint8Array(length);
  filled.set(bytes);
  return filled;
}

function upToZero(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

export const maps = {
  /** The map of this name; null when the route does not allow it. Open maps in `onConfigure` and keep them. */
  open(name: string): SharedMap | null {
    const handle = shared.open(name);
    return handle === null ? null : new SharedMap(handle);
  },
};
