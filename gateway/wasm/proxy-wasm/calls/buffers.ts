/** Host calls over buffers: bodies and stream data as they pass, an answer's body, the configuration. */
import type { Guest } from "#wasm/guest/guest.ts";
import type { Handlers } from "#wasm/host/call-table.ts";
import { isInMemory, viewOf, writeU32 } from "#wasm/host/memory.ts";
import {
  BAD_ARGUMENT,
  BUFFER_HTTP_CALL_BODY,
  BUFFER_LAST,
  BUFFER_PLUGIN_CONFIGURATION,
  BUFFER_UPSTREAM_DATA,
  BUFFER_VM_CONFIGURATION,
  INVALID_MEMORY_ACCESS,
  NOT_FOUND,
  OK,
  type PROXY_CALLS,
} from "#wasm/proxy-wasm/abi.ts";
import { give, told } from "#wasm/proxy-wasm/give.ts";
import type { GuestBuffer } from "#wasm/proxy-wasm/guest-buffer.ts";
import { type ProxyWasmVm, vmOf } from "#wasm/proxy-wasm/vm.ts";

/** Of one body that a guest holds back or writes. */
export const HELD_BYTES_MAX = 1024 * 1024;

type Names =
  | "proxy_get_configuration"
  | "proxy_get_buffer_bytes"
  | "proxy_get_buffer_status"
  | "proxy_set_buffer_bytes";

function bufferOf(vm: ProxyWasmVm, type: number): GuestBuffer | null {
  if (type <= BUFFER_UPSTREAM_DATA) return vm.active?.buffer(type) ?? null;
  if (type === BUFFER_HTTP_CALL_BODY) return vm.answer === null ? null : vm.answerBody;
  if (type === BUFFER_VM_CONFIGURATION) return vm.vmConfiguration;
  return type === BUFFER_PLUGIN_CONFIGURATION ? vm.configuration : null;
}

function giveRange(
  guest: Guest,
  buffer: GuestBuffer,
  start: number,
  length: number,
  at: number,
  sizeAt: number,
): number {
  const vm = vmOf(guest);
  const from = Math.min(start, buffer.length);
  const to = Math.min(from + length, buffer.length);
  return give(vm, buffer.view, from, to, at, sizeAt);
}

export const bufferCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_get_configuration: (guest) => (at, sizeAt) => {
    const vm = vmOf(guest);
    const buffer = vm.starting ? vm.vmConfiguration : vm.configuration;
    return giveRange(guest, buffer, 0, buffer.length, at, sizeAt);
  },

  proxy_get_buffer_bytes: (guest) => (type, start, length, at, sizeAt) => {
    if (type >>> 0 > BUFFER_LAST) return BAD_ARGUMENT;
    const vm = vmOf(guest);
    const buffer = bufferOf(vm, type);
    if (buffer === null) return NOT_FOUND;
    if ((start >>> 0) + (length >>> 0) > 0xffff_ffff) return BAD_ARGUMENT;
    if (!isInMemory(guest, at, 4) || !isInMemory(guest, sizeAt, 4)) return INVALID_MEMORY_ACCESS;
    if (start >>> 0 >= buffer.length) return told(vm, 0, 0, at, sizeAt);
    return giveRange(guest, buffer, start >>> 0, length >>> 0, at, sizeAt);
  },

  proxy_get_buffer_status: (guest) => (type, lengthAt, unusedAt) => {
    if (type >>> 0 > BUFFER_LAST) return BAD_ARGUMENT;
    const buffer = bufferOf(vmOf(guest), type);
    if (buffer === null) return NOT_FOUND;
    return writeU32(guest, lengthAt, buffer.length) && writeU32(guest, unusedAt, 0) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_set_buffer_bytes: (guest) => (type, start, length, pointer, size) => {
    if (type >>> 0 > BUFFER_LAST) return BAD_ARGUMENT;
    const vm = vmOf(guest);
    const buffer = type <= BUFFER_UPSTREAM_DATA && vm.alive ? bufferOf(vm, type) : null;
    if (buffer === null) return NOT_FOUND;
    if (buffer.length + (size >>> 0) > HELD_BYTES_MAX) return BAD_ARGUMENT;
    const value = viewOf(guest, pointer, size);
    if (value === null) return INVALID_MEMORY_ACCESS;
    guest.charge(buffer.length >>> 4);
    buffer.replace(start >>> 0, length >>> 0, value);
    return OK;
  },
};
