/**
 * Host calls over what belongs to the plugin's tenant: entries that all its workers share, series in the metrics, and bans. Each
 * is denied where the route's `allow` list does not hold it, or the filter has no tenant.
 */
import { KV_ANY, KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, type KeyValueStore } from "#pipeline/tenant.ts";
import { METRIC_KINDS } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASE_DEAD, PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest, textOf } from "./transfer.ts";

const NAME_BYTES_MAX = 128;
/** Under a lock that other processes take too: about 1 µs. */
const KEY_VALUE_COST = 1_000;
const METRIC_COST = 50;
const NOT_ALLOWED = -4;
const NO_SUM = -(1n << 63n);
const PREFIX_BYTES = 20;
const PREFIX_BITS_MAX = 128;
const BAN_SECONDS_MAX = 30 * 24 * 3600;

function storeOf(guest: Guest, call: string): KeyValueStore | null {
  if (!guest.may(PHASES_ALL, call)) return null;
  guest.charge(KEY_VALUE_COST);
  const { allow } = guest.environment.spec;
  return allow.keyValue === true ? guest.environment.tenant.keyValue : null;
}

/** Null: it is none, and the guest has been ended. */
function keyOf(guest: Guest, pointer: number, length: number): Uint8Array | null {
  const key = bytesOf(guest, pointer, length, KV_KEY_BYTES_MAX, "a key");
  if (key === null || key.length > 0) return key;
  guest.fail("a key without bytes");
  return null;
}

export const tenantCalls: Makers<
  | "kv_get"
  | "kv_version"
  | "kv_put"
  | "kv_delete"
  | "kv_increment"
  | "metric_define"
  | "metric_add"
  | "metric_record"
  | "ban"
> = {
  kv_get: (guest) => (keyPointer, keyLength, pointer, capacity) => {
    const store = storeOf(guest, "kv_get");
    guest.keyValueVersion = 0;
    const key = store === null ? null : keyOf(guest, keyPointer, keyLength);
    const entry = store === null || key === null ? null : store.get(key);
    if (entry === null) return -1;
    guest.keyValueVersion = entry.version;
    return copyToGuest(guest, entry.value, 0, entry.value.length, pointer, capacity);
  },

  kv_version: (guest) => () => (guest.may(PHASES_ALL, "kv_version") ? guest.keyValueVersion : 0),

  kv_put: (guest) => (keyPointer, keyLength, pointer, length, ttlMs, version) => {
    const store = storeOf(guest, "kv_put");
    if (store === null) return guest.phase === PHASE_DEAD ? 0 : NOT_ALLOWED;
    const key = keyOf(guest, keyPointer, keyLength);
    const value = bytesOf(guest, pointer, length, KV_VALUE_BYTES_MAX, "a value");
    if (key === null || value === null) return NOT_ALLOWED;
    return store.put(key, value, ttlMs > 0 ? ttlMs : 0, version < 0 ? KV_ANY : version);
  },

  kv_delete: (guest) => (keyPointer, keyLength, version) => {
    const store = storeOf(guest, "kv_delete");
    const key = store === null ? null : keyOf(guest, keyPointer, keyLength);
    return store !== null && key !== null && store.delete(key, version < 0 ? KV_ANY : version) ? 1 : 0;
  },

  kv_increment: (guest) => (keyPointer, keyLength, delta, ttlMs) => {
    const store = storeOf(guest, "kv_increment");
    const key = store === null ? null : keyOf(guest, keyPointer, keyLength);
    if (store === null || key === null) return guest.phase === PHASE_DEAD ? 0n : NO_SUM;
    return store.increment(key, delta, ttlMs > 0 ? ttlMs : 0) ?? NO_SUM;
  },

  metric_define: (guest) => (kind, pointer, length) => {
    if (!guest.may(PHASES_ALL, "metric_define")) return -1;
    const name = textOf(guest, pointer, length, NAME_BYTES_MAX, "a series' name");
    const known = METRIC_KINDS[kind];
    if (name === null) return -1;
    if (known === undefined) return guest.fail(`metric_define of the unknown kind ${kind}`);
    const { tenant, pluginName } = guest.environment;
    return tenant.metrics.define(pluginName, known, name);
  },

  metric_add: (guest) => (handle, delta) => {
    if (!guest.may(PHASES_ALL, "metric_add")) return undefined;
    guest.charge(METRIC_COST);
    guest.environment.tenant.metrics.add(handle, delta);
    return undefined;
  },

  metric_record: (guest) => (handle, value) => {
    if (!guest.may(PHASES_ALL, "metric_record")) return undefined;
    guest.charge(METRIC_COST);
    guest.environment.tenant.metrics.record(handle, value);
    return undefined;
  },

  ban: (guest) => (pointer, seconds) => {
    if (!guest.may(PHASES_ALL, "ban")) return 0;
    guest.charge(KEY_VALUE_COST);
    const prefix = bytesOf(guest, pointer, PREFIX_BYTES, PREFIX_BYTES, "a prefix");
    if (prefix === null) return 0;
    const bits = new DataView(prefix.buffer, prefix.byteOffset).getUint32(0, true);
    if (bits > PREFIX_BITS_MAX || seconds < 1 || seconds > BAN_SECONDS_MAX) {
      guest.fail(`ban of a prefix of ${bits} bits for ${seconds} s`);
      return 0;
    }
    const { services, spec } = guest.environment;
    return spec.allow.ban === true && services.ban?.(prefix, seconds) === true ? 1 : 0;
  },
};
