/**
 * `proxy_set_shared_data` and its kind, by VM id: plugins of a tenant that name the same one see the same data. Kept in the
 * tenant's key/value store, which all workers share, where the route grants it (`allow: { keyValue: true }`); in this worker
 * alone where it does not.
 */
import { createHash } from "node:crypto";
import { KV_ANY, KV_KEY_BYTES_MAX, KV_MISMATCH, type KeyValueStore } from "#pipeline/tenant.ts";

export const SET_DONE = 0;
export const SET_MISMATCH = 1;
export const SET_FULL = 2;
export type SetResult = 0 | 1 | 2;

export interface SharedEntry {
  readonly value: Uint8Array;
  /** Changes with every write, never 0: the ABI's `cas`. */
  readonly version: number;
}

export interface SharedData {
  get(key: Uint8Array): SharedEntry | null;
  /** `cas` 0: whatever is there. Borrows its arguments. */
  set(key: Uint8Array, value: Uint8Array, cas: number): SetResult;
}

/** Of one tenant in one worker, when no store is granted. */
const LOCAL_BYTES_MAX = 1024 * 1024;
const ENTRY_BYTES = 64;

export class LocalData implements SharedData {
  readonly #entries = new Map<string, SharedEntry>();
  #bytes = 0;
  #version = 0;

  get(key: Uint8Array): SharedEntry | null {
    return this.#entries.get(textOf(key)) ?? null;
  }

  set(key: Uint8Array, value: Uint8Array, cas: number): SetResult {
    const name = textOf(key);
    const old = this.#entries.get(name);
    if (cas !== 0 && cas !== old?.version) return SET_MISMATCH;
    const added = value.length - (old?.value.length ?? 0) + (old === undefined ? name.length + ENTRY_BYTES : 0);
    if (this.#bytes + added > LOCAL_BYTES_MAX) return SET_FULL;
    this.#bytes += added;
    this.#version = (this.#version + 1) & 0x7fff_ffff || 1;
    this.#entries.set(name, { value: value.slice(), version: this.#version });
    return SET_DONE;
  }
}

export class StoredData implements SharedData {
  readonly #store: KeyValueStore;
  readonly #prefix: Uint8Array;

  constructor(store: KeyValueStore, vmId: string) {
    this.#store = store;
    this.#prefix = Buffer.from(`proxy-wasm/${vmId}/`, "utf8");
  }

  get(key: Uint8Array): SharedEntry | null {
    return this.#store.get(this.#named(key));
  }

  set(key: Uint8Array, value: Uint8Array, cas: number): SetResult {
    const version = this.#store.put(this.#named(key), value, 0, cas === 0 ? KV_ANY : cas);
    if (version > 0) return SET_DONE;
    return version === KV_MISMATCH ? SET_MISMATCH : SET_FULL;
  }

  /** What is too long for the store stands there by its digest. */
  #named(key: Uint8Array): Uint8Array {
    const named = Buffer.concat([this.#prefix, key]);
    if (named.length <= KV_KEY_BYTES_MAX) return named;
    return Buffer.from(`proxy-wasm#${createHash("sha256").update(named).digest("hex")}`);
  }
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer as ArrayBuffer, key.byteOffset, key.length).toString("latin1");
}
