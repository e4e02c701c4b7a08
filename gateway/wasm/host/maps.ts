/**
 * Host calls over the shared maps. A handle exists only for a map that the route allows; keys and values must have the
 * size that the map's schema says.
 */
import { MAP_KEYS, MAP_VALUES } from "#sdk/types/abi.ts";
import type { OpenMap } from "#wasm/guest/environment.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest, inMemory, textOf } from "./transfer.ts";

const NAME_BYTES_MAX = 256;
/** A system call, about 1 µs. */
const MAP_COST = 1_000;
const SHAPE_BYTES = 16;
const PREFIX_BITS_MAX = 128;

function mapAt(guest: Guest, handle: number, call: string): OpenMap | null {
  if (!guest.may(PHASES_ALL, call)) return null;
  const open = guest.environment.maps[handle];
  if (open === undefined) {
    guest.fail(`${call} with the unknown handle ${handle}`);
    return null;
  }
  guest.charge(MAP_COST);
  return open;
}

/** The key, or null when it is not one of this map's: then the guest has been ended. */
function keyOf(guest: Guest, open: OpenMap, pointer: number, length: number): Uint8Array | null {
  const what = `a key of ${open.spec.name}`;
  if (length !== open.keyBytes) {
    guest.fail(`${what} with ${length >>> 0} bytes, not ${open.keyBytes}`);
    return null;
  }
  const key = bytesOf(guest, pointer, length, open.keyBytes, what);
  if (key === null || open.spec.key !== "ip-prefix") return key;
  const bits = new DataView(key.buffer, key.byteOffset).getUint32(0, true);
  if (bits <= PREFIX_BITS_MAX) return key;
  guest.fail(`${what} with a prefix of ${bits} bits`);
  return null;
}

export const mapCalls: Makers<
  "map_open" | "map_shape" | "map_get" | "map_put" | "map_delete" | "map_next" | "map_increment"
> = {
  map_open: (guest) => (pointer, length) => {
    if (!guest.may(PHASES_ALL, "map_open")) return -1;
    const name = textOf(guest, pointer, length, NAME_BYTES_MAX, "a map's name");
    return name === null ? -1 : guest.environment.openMap(name);
  },

  map_shape: (guest) => (handle, pointer) => {
    const open = mapAt(guest, handle, "map_shape");
    if (open === null || !inMemory(guest, pointer, SHAPE_BYTES)) return undefined;
    const view = new DataView(guest.bytes.buffer, pointer >>> 0, SHAPE_BYTES);
    view.setUint32(0, MAP_KEYS[open.spec.key], true);
    view.setUint32(4, MAP_VALUES[open.spec.value], true);
    view.setUint32(8, open.keyBytes, true);
    view.setUint32(12, open.valueBytes, true);
    guest.wrote(pointer >>> 0, SHAPE_BYTES);
    return undefined;
  },

  map_get: (guest) => (handle, keyPointer, keyLength, pointer, capacity) => {
    const open = mapAt(guest, handle, "map_get");
    const key = open === null ? null : keyOf(guest, open, keyPointer, keyLength);
    if (open === null || key === null) return -1;
    const value = open.map.get(key);
    return value === null ? -1 : copyToGuest(guest, value, 0, value.length, pointer, capacity);
  },

  map_put: (guest) => (handle, keyPointer, keyLength, pointer, length) => {
    const open = mapAt(guest, handle, "map_put");
    const key = open === null ? null : keyOf(guest, open, keyPointer, keyLength);
    if (open === null || key === null) return 0;
    if (length !== open.valueBytes) {
      guest.fail(`a value of ${open.spec.name} with ${length >>> 0} bytes, not ${open.valueBytes}`);
      return 0;
    }
    const value = bytesOf(guest, pointer, length, open.valueBytes, "a value");
    return value !== null && open.map.put(key, value) ? 1 : 0;
  },

  map_delete: (guest) => (handle, keyPointer, keyLength) => {
    const open = mapAt(guest, handle, "map_delete");
    const key = open === null ? null : keyOf(guest, open, keyPointer, keyLength);
    return open !== null && key !== null && open.map.delete(key) ? 1 : 0;
  },

  map_next: (guest) => (handle, keyPointer, keyLength, pointer, capacity) => {
    const open = mapAt(guest, handle, "map_next");
    if (open === null) return -1;
    const key = keyLength === 0 ? null : keyOf(guest, open, keyPointer, keyLength);
    if (key === null && keyLength !== 0) return -1;
    const next = open.map.next(key);
    return next === null ? -1 : copyToGuest(guest, next, 0, next.length, pointer, capacity);
  },

  map_increment: (guest) => (handle, keyPointer, keyLength, delta) => {
    const open = mapAt(guest, handle, "map_increment");
    const key = open === null ? null : keyOf(guest, open, keyPointer, keyLength);
    if (open === null || key === null) return 0n;
    if (open.spec.value === "counter") return open.map.increment(key, delta);
    guest.fail(`map_increment of ${open.spec.name}, which holds no counters`);
    return 0n;
  },
};
