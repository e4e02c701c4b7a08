/** Host calls over what the plugins of a tenant share: data with compare-and-swap, queues. */
import type { Handlers } from "#wasm/host/call-table.ts";
import { latin1At, viewOf, writeU32 } from "#wasm/host/memory.ts";
import {
  BAD_ARGUMENT,
  CAS_MISMATCH,
  EMPTY,
  INTERNAL_FAILURE,
  INVALID_MEMORY_ACCESS,
  NOT_FOUND,
  OK,
  type PROXY_CALLS,
} from "#wasm/proxy-wasm/abi.ts";
import { giveAll } from "#wasm/proxy-wasm/give.ts";
import { SET_FULL, SET_MISMATCH } from "#wasm/proxy-wasm/shared-data.ts";
import { vmOf } from "#wasm/proxy-wasm/vm.ts";

type Names =
  | "proxy_get_shared_data"
  | "proxy_set_shared_data"
  | "proxy_register_shared_queue"
  | "proxy_resolve_shared_queue"
  | "proxy_enqueue_shared_queue"
  | "proxy_dequeue_shared_queue";

const KEY_BYTES_MAX = 8192;
const VALUE_BYTES_MAX = 65_536;
/** Two processes may have to agree on who is first. */
const SHARED_COST = 1_000;
/** Some calls of the store. */
const QUEUE_COST = 5_000;

export const sharedCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_get_shared_data: (guest) => (key, keyLength, at, sizeAt, casAt) => {
    const vm = vmOf(guest);
    guest.charge(SHARED_COST);
    const name = viewOf(guest, key, keyLength);
    if (name === null) return INVALID_MEMORY_ACCESS;
    if (name.length > KEY_BYTES_MAX) return NOT_FOUND;
    guest.charge(name.length);
    const entry = vm.identity.shared.get(name);
    if (entry === null) return NOT_FOUND;
    const status = giveAll(vm, entry.value, at, sizeAt);
    if (status !== OK) return status;
    return writeU32(guest, casAt, entry.version) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_set_shared_data: (guest) => (key, keyLength, pointer, length, cas) => {
    const vm = vmOf(guest);
    guest.charge(SHARED_COST);
    const name = viewOf(guest, key, keyLength);
    const value = viewOf(guest, pointer, length);
    if (name === null || value === null) return INVALID_MEMORY_ACCESS;
    if (!vm.alive) return INTERNAL_FAILURE;
    if (name.length > KEY_BYTES_MAX || value.length > VALUE_BYTES_MAX) return BAD_ARGUMENT;
    guest.charge(name.length);
    const done = vm.identity.shared.set(name, value, cas >>> 0);
    if (done === SET_MISMATCH) return CAS_MISMATCH;
    return done === SET_FULL ? INTERNAL_FAILURE : OK;
  },

  proxy_register_shared_queue: (guest) => (name, nameLength, idAt) => {
    const vm = vmOf(guest);
    guest.charge(SHARED_COST);
    const text = latin1At(guest, name, nameLength);
    if (text === null) return INVALID_MEMORY_ACCESS;
    const id = vm.alive ? vm.identity.queues.register(vm.identity.vmId, text) : 0;
    if (id === 0) return INTERNAL_FAILURE;
    vm.listen(id);
    return writeU32(guest, idAt, id) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_resolve_shared_queue: (guest) => (vmId, vmIdLength, name, nameLength, idAt) => {
    guest.charge(SHARED_COST);
    const vmName = latin1At(guest, vmId, vmIdLength);
    const text = latin1At(guest, name, nameLength);
    if (vmName === null || text === null) return INVALID_MEMORY_ACCESS;
    const id = vmOf(guest).identity.queues.resolve(vmName, text);
    if (id === 0) return NOT_FOUND;
    return writeU32(guest, idAt, id) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_enqueue_shared_queue: (guest) => (id, pointer, length) => {
    guest.charge(QUEUE_COST);
    const value = viewOf(guest, pointer, length);
    if (value === null) return INVALID_MEMORY_ACCESS;
    const vm = vmOf(guest);
    const added = vm.alive ? vm.identity.queues.add(id >>> 0, value.slice()) : "absent";
    if (added === "absent") return NOT_FOUND;
    return added === "added" ? OK : INTERNAL_FAILURE;
  },

  proxy_dequeue_shared_queue: (guest) => (id, at, sizeAt) => {
    const vm = vmOf(guest);
    guest.charge(QUEUE_COST);
    const item = vm.alive ? vm.identity.queues.take(id >>> 0) : "absent";
    if (item === "absent") return NOT_FOUND;
    if (item === "empty") return EMPTY;
    return item === "busy" ? INTERNAL_FAILURE : giveAll(vm, item, at, sizeAt);
  },
};
