/** Host calls over properties and metrics. */
import type { Handlers } from "#wasm/host/call-table.ts";
import { latin1At, viewOf, writeU32, writeU64 } from "#wasm/host/memory.ts";
import {
  BAD_ARGUMENT,
  INTERNAL_FAILURE,
  INVALID_MEMORY_ACCESS,
  NOT_FOUND,
  OK,
  type PROXY_CALLS,
} from "#wasm/proxy-wasm/abi.ts";
import { giveAll } from "#wasm/proxy-wasm/give.ts";
import { encodeProperty, pathOf, propertyOf } from "#wasm/proxy-wasm/properties.ts";
import { vmOf } from "#wasm/proxy-wasm/vm.ts";

type Names =
  | "proxy_get_property"
  | "proxy_set_property"
  | "proxy_define_metric"
  | "proxy_increment_metric"
  | "proxy_record_metric"
  | "proxy_get_metric";

const PATH_BYTES_MAX = 1024;
/** Properties that a plugin sets on one stream. */
const PROPERTIES_MAX = 64;
const PROPERTY_BYTES_MAX = 8192;
const PROPERTY_COST = 500;
/** proxy_metric_type_t */
const METRIC_KINDS = ["counter", "gauge", "histogram"] as const;

export const propertyCalls: Handlers<Pick<typeof PROXY_CALLS, Names>> = {
  proxy_get_property: (guest) => (path, pathLength, at, sizeAt) => {
    const vm = vmOf(guest);
    guest.charge(PROPERTY_COST);
    const text = pathLength >>> 0 > PATH_BYTES_MAX ? null : latin1At(guest, path, pathLength);
    if (text === null) return INVALID_MEMORY_ACCESS;
    const value = propertyOf(pathOf(text), vm.identity, vm.active, guest.environment.services.nowMs());
    return value === null ? NOT_FOUND : giveAll(vm, encodeProperty(value), at, sizeAt);
  },

  proxy_set_property: (guest) => (path, pathLength, pointer, length) => {
    const { active } = vmOf(guest);
    guest.charge(PROPERTY_COST);
    const text = pathLength >>> 0 > PATH_BYTES_MAX ? null : latin1At(guest, path, pathLength);
    const value = viewOf(guest, pointer, length);
    if (text === null || value === null) return INVALID_MEMORY_ACCESS;
    if (active === null) return NOT_FOUND;
    active.properties ??= new Map();
    const key = pathOf(text);
    const full = active.properties.size >= PROPERTIES_MAX && !active.properties.has(key);
    if (full || value.length > PROPERTY_BYTES_MAX) return INTERNAL_FAILURE;
    active.properties.set(key, value.slice());
    return OK;
  },

  proxy_define_metric: (guest) => (type, name, nameLength, idAt) => {
    const { identity, alive } = vmOf(guest);
    const kind = METRIC_KINDS[type];
    if (kind === undefined) return BAD_ARGUMENT;
    const text = latin1At(guest, name, nameLength);
    if (text === null) return INVALID_MEMORY_ACCESS;
    const handle = alive ? identity.metrics.define(identity.name, kind, text) : -1;
    if (handle < 0) return INTERNAL_FAILURE;
    return writeU32(guest, idAt, handle) ? OK : INVALID_MEMORY_ACCESS;
  },

  proxy_increment_metric: (guest) => (id, delta) => {
    const { identity, alive } = vmOf(guest);
    const { metrics } = identity;
    if (!alive || Number.isNaN(metrics.value(id))) return NOT_FOUND;
    return metrics.add(id, Number(delta)) ? OK : BAD_ARGUMENT;
  },

  proxy_record_metric: (guest) => (id, value) => {
    const { identity, alive } = vmOf(guest);
    const { metrics } = identity;
    if (!alive || Number.isNaN(metrics.value(id))) return NOT_FOUND;
    return metrics.record(id, Number(BigInt.asUintN(64, value))) ? OK : BAD_ARGUMENT;
  },

  proxy_get_metric: (guest) => (id, pointer) => {
    const value = vmOf(guest).identity.metrics.value(id);
    if (Number.isNaN(value)) return NOT_FOUND;
    return writeU64(guest, pointer, BigInt(Math.round(value))) ? OK : INVALID_MEMORY_ACCESS;
  },
};
