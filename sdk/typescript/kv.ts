import * as entries from "penstock:plugin/key-value@1.0.0";
import { textOf } from "./text.ts";

const ANY = -1;

/** Entries of the plugin's tenant: text by text, the same in all workers, for all its plugins that the route grants `keyValue`. */
export const kv = {
  /** Null: there is none, it has expired, or the route does not allow it. */
  get(key: string): string | null {
    const value = entries.get(key);
    return value === null ? null : textOf(value);
  },

  /** Of what `get` has answered last; 0: it was not there. */
  version(): number {
    return entries.version();
  },

  /** `ttlMs` 0: for good. False: no room, or not allowed. */
  put(key: string, value: string, ttlMs = 0): boolean {
    return entries.putText(key, value, ttlMs, ANY) > 0;
  },

  /** Only if the entry still has the version that `version` told, 0 for none: compare and swap. */
  putIf(key: string, value: string, version: number, ttlMs = 0): boolean {
    return entries.putText(key, value, ttlMs, version) > 0;
  },

  /** False: there was none. */
  remove(key: string): boolean {
    return entries.delete(key, ANY);
  },

  /** Adds, from 0 where there is none, and answers the sum; `ttlMs` counts from the first. Below −2⁶²: no room, or not allowed. */
  increment(key: string, delta = 1, ttlMs = 0): number {
    return entries.increment(key, delta, ttlMs);
  },
};
