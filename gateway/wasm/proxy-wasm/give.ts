/** Values for the guest: put into memory of its own allocator, their place and size written where it says. */
import { isInMemory, writeBytes, writeU32 } from "#wasm/host/memory.ts";
import { INTERNAL_FAILURE, INVALID_MEMORY_ACCESS, OK } from "./abi.ts";
import type { ProxyWasmVm } from "./vm.ts";

/** Up to here a loop is faster than `set` with its view. */
const LOOP_BYTES_MAX = 48;

/** The status: OK, or INVALID_MEMORY_ACCESS for a bad pointer and for memory that could not be had. */
export function give(
  vm: ProxyWasmVm,
  source: Uint8Array,
  start: number,
  end: number,
  at: number,
  sizeAt: number,
): number {
  const { guest } = vm;
  const length = end - start;
  const pointer = length === 0 ? 0 : reserve(vm, length);
  if (pointer < 0) return vm.alive ? INVALID_MEMORY_ACCESS : INTERNAL_FAILURE;
  if (length > 0 && length <= LOOP_BYTES_MAX) {
    const { bytes } = guest;
    for (let index = 0; index < length; index++) bytes[pointer + index] = source[start + index] as number;
    guest.wrote(pointer, length);
  } else if (length > 0) {
    writeBytes(guest, pointer, source.subarray(start, end));
  }
  return told(vm, pointer, length, at, sizeAt);
}

export function giveAll(vm: ProxyWasmVm, source: Uint8Array, at: number, sizeAt: number): number {
  return give(vm, source, 0, source.length, at, sizeAt);
}

/** Room for `length` bytes, or −1. */
export function reserve(vm: ProxyWasmVm, length: number): number {
  const pointer = vm.allocate(length);
  return pointer !== 0 && vm.alive && isInMemory(vm.guest, pointer, length) ? pointer : -1;
}

export function told(vm: ProxyWasmVm, pointer: number, length: number, at: number, sizeAt: number): number {
  const { guest } = vm;
  return writeU32(guest, at, pointer) && writeU32(guest, sizeAt, length) ? OK : INVALID_MEMORY_ACCESS;
}
