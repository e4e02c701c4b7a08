/** Host calls over header maps: the heads and trailers of the stream, and those of an answer. */
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { isInMemory, latin1At, nameIdAt, viewOf, writeU32 } from "#wasm/host/memory.ts";
import {
  BAD_ARGUMENT,
  INTERNAL_FAILURE,
  INVALID_MEMORY_ACCESS,
  MAP_HTTP_CALL_HEADERS,
  MAP_LAST,
  MAP_REQUEST_TRAILERS,
  MAP_RESPONSE_TRAILERS,
  NOT_FOUND,
  OK,
  type PROXY_CALLS,
} from "#wasm/proxy-wasm/abi.ts";
import { give, giveAll, reserve, told } from "#wasm/proxy-wasm/give.ts";
import type { HeadMap } from "#wasm/proxy-wasm/head-map.ts";
import { decodePairs, encodePairs, type Pair } from "#wasm/proxy-wasm/pairs.ts";
import { type ProxyWasmVm, vmOf } from "#wasm/proxy-wasm/vm.ts";

/** Looking through a large head. */
const FIELDS_COST = 100;
/** Copying so much is covered by the price of the host call. */
const FREE_BYTES = 48;

type Names =
  | "proxy_get_header_map_size"
  | "proxy_get_header_map_pairs"
  | "proxy_set_header_map_pairs"
  | "proxy_get_header_map_value"
  | "proxy_add_header_map_value"
  | "proxy_replace_header_map_value"
  | "proxy_remove_header_map_value";

/** Of the answer that the guest is being told of; null for another map. Status first, as a response's map has it. */
function answerPairs(vm: ProxyWasmVm, type: number): readonly Pair[] | null {
  if (type < MAP_HTTP_CALL_HEADERS || vm.answer === null) return null;
  if (type !== MAP_HTTP_CALL_HEADERS || vm.answer.status === 0) return [];
  const lower = vm.answer.headers.map(([name, value]) => [name.toLowerCase(), value] as const);
  return [[":status", String(vm.answer.status)], ...lower];
}

function mapOf(guest: Guest, type: number): HeadMap | null {
  guest.charge(FIELDS_COST);
  return vmOf(guest).active?.map(type) ?? null;
}

/**
 * The map if it may be changed now, or the status that says why not. `fills`: something is put into it. Trailers of a message
 * that can't have any take edits, which have no effect: the plugin can't know what its message's receiver understands.
 */
function editable(guest: Guest, type: number, fills: boolean): HeadMap | number {
  if (type >>> 0 > MAP_LAST) return BAD_ARGUMENT;
  const vm = vmOf(guest);
  if (!vm.alive) return INTERNAL_FAILURE;
  if (vm.active === null || !vm.active.mayEdit(type)) return BAD_ARGUMENT;
  guest.charge(FIELDS_COST);
  const map = fills ? vm.active.mapToFill(type) : vm.active.map(type);
  const trails = type === MAP_REQUEST_TRAILERS || type === MAP_RESPONSE_TRAILERS;
  return map ?? (trails ? OK : BAD_ARGUMENT);
}

/** What is not there: 0.1.0 knows no NOT_FOUND for it, and takes an empty value. */
function absent(vm: ProxyWasmVm, at: number, sizeAt: number): number {
  return vm.version === "0.1.0" ? told(vm, 0, 0, at, sizeAt) : NOT_FOUND;
}

function giveText(vm: ProxyWasmVm, text: string, at: number, sizeAt: number): number {
  return giveAll(vm, Buffer.from(text, "latin1"), at, sizeAt);
}

export const fieldCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_get_header_map_size: (guest) => (type, pointer) => {
    if (type >>> 0 > MAP_LAST) return BAD_ARGUMENT;
    const pairs = answerPairs(vmOf(guest), type);
    const size = pairs === null ? (mapOf(guest, type)?.serialisedBytes ?? 0) : encodePairs(pairs).length;
    return writeU32(guest, pointer, size) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_get_header_map_pairs: (guest) => (type, at, sizeAt) => {
    if (type >>> 0 > MAP_LAST) return BAD_ARGUMENT;
    const vm = vmOf(guest);
    const pairs = answerPairs(vm, type);
    if (pairs !== null) return giveAll(vm, encodePairs(pairs), at, sizeAt);
    const map = mapOf(guest, type);
    const bytes = map?.serialisedBytes ?? 0;
    if (map === null || bytes === 0) return told(vm, 0, 0, at, sizeAt);
    guest.charge(bytes);
    const pointer = reserve(vm, bytes);
    if (pointer < 0) return vm.alive ? INVALID_MEMORY_ACCESS : INTERNAL_FAILURE;
    map.write(guest.bytes, pointer);
    guest.wrote(pointer, bytes);
    return told(vm, pointer, bytes, at, sizeAt);
  },

  proxy_set_header_map_pairs: (guest) => (type, pointer, length) => {
    const map = editable(guest, type, true);
    if (typeof map === "number") return map;
    const bytes = viewOf(guest, pointer, length);
    if (bytes === null) return INVALID_MEMORY_ACCESS;
    guest.charge(length >>> 0);
    const pairs = decodePairs(bytes);
    return pairs === null ? BAD_ARGUMENT : map.replace(pairs);
  },

  proxy_get_header_map_value: (guest) => (type, name, nameLength, at, sizeAt) => {
    if (type >>> 0 > MAP_LAST) return BAD_ARGUMENT;
    if (!isInMemory(guest, name, nameLength)) return INVALID_MEMORY_ACCESS;
    const vm = vmOf(guest);
    const pairs = answerPairs(vm, type);
    if (pairs !== null) {
      const wanted = latin1At(guest, name, nameLength)?.toLowerCase();
      const found = pairs.find(([known]) => known === wanted);
      return found === undefined ? absent(vm, at, sizeAt) : giveText(vm, found[1], at, sizeAt);
    }
    const map = mapOf(guest, type);
    if (map === null) return absent(vm, at, sizeAt);
    if (guest.bytes[name >>> 0] === 0x3a && nameLength > 0) {
      const value = map.pseudo((latin1At(guest, name, nameLength) ?? "").toLowerCase());
      return value === undefined ? absent(vm, at, sizeAt) : giveText(vm, value, at, sizeAt);
    }
    const index = map.find(guest, name, nameLength);
    if (index < 0) return absent(vm, at, sizeAt);
    if (map.repeats(index)) return giveText(vm, map.joined(index), at, sizeAt);
    const { head } = map;
    return give(vm, head.memory, head.valueStart(index), head.valueEnd(index), at, sizeAt);
  },

  proxy_add_header_map_value: (guest) => (type, name, nameLength, pointer, length) =>
    edit(guest, type, name, nameLength, pointer, length, true),

  proxy_replace_header_map_value: (guest) => (type, name, nameLength, pointer, length) =>
    edit(guest, type, name, nameLength, pointer, length, false),

  proxy_remove_header_map_value: (guest) => (type, name, nameLength) => {
    const map = editable(guest, type, false);
    if (typeof map === "number") return map;
    const text = latin1At(guest, name, nameLength);
    return text === null ? INVALID_MEMORY_ACCESS : map.remove(text.toLowerCase(), guest.environment);
  },
};

function edit(
  guest: Guest,
  type: number,
  name: number,
  nameLength: number,
  pointer: number,
  length: number,
  add: boolean,
): number {
  const map = editable(guest, type, true);
  if (typeof map === "number") return map;
  if (!isInMemory(guest, pointer, length)) return INVALID_MEMORY_ACCESS;
  if (length > FREE_BYTES) guest.charge(length);
  const start = pointer >>> 0;
  const id = nameIdAt(guest, name, nameLength);
  if (id > 0) return map.putKnown(id, guest.bytes, start, start + (length >>> 0), add);
  const text = latin1At(guest, name, nameLength);
  if (text === null) return INVALID_MEMORY_ACCESS;
  return map.put(text.toLowerCase(), guest.environment, guest.bytes, start, start + (length >>> 0), add);
}
