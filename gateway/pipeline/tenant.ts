/**
 * What belongs to a tenant and not to one route or plugin, as filters see it: what it may use of this worker, and what all its
 * plugins share. One for each tenant and worker; calls are synchronous and short, and allocate nothing unless they say so.
 */

/** What a `put` answers when nothing was stored; else it answers the entry's version, above 0. */
export const KV_MISMATCH = -1;
export const KV_FULL = -2;
/** Another process holds the store for longer than one waits for. */
export const KV_BUSY = -3;

/** Whatever version an entry has, or none. */
export const KV_ANY = -1;

export const KV_KEY_BYTES_MAX = 256;
export const KV_VALUE_BYTES_MAX = 65_536;

export interface KeyValueEntry {
  /** The caller's own. */
  readonly value: Uint8Array;
  /** Changes with every write; 1 … 2³¹−1. */
  readonly version: number;
}

/** A tenant's entries, the same ones in all workers. Keys have 1 to KV_KEY_BYTES_MAX bytes, values up to KV_VALUE_BYTES_MAX. */
export interface KeyValueStore {
  /** Null when absent or expired. */
  get(key: Uint8Array): KeyValueEntry | null;
  /**
   * `ttlMs` 0: for good. `expected`: the version that must be there, 0 for absence, KV_ANY for no matter. Answers the new
   * version, KV_MISMATCH, KV_FULL or KV_BUSY.
   */
  put(key: Uint8Array, value: Uint8Array, ttlMs: number, expected: number): number;
  /** Whether it was there, in the version that was expected. */
  delete(key: Uint8Array, expected: number): boolean;
  /**
   * Adds to a value of eight bytes (little-endian), from 0 where absent or of another size, and answers the sum. `ttlMs`
   * counts from the first increment. Answers null when the store is full or busy.
   */
  increment(key: Uint8Array, delta: bigint, ttlMs: number): bigint | null;
  /**
   * Runs calls of this store as one: no other process comes in between. False: busy, and nothing has run. Should this process end in
   * the middle, what was done stays, and is all that others see.
   */
  together(run: () => void): boolean;
}

export type MetricKind = "counter" | "gauge" | "histogram";

/** Series that a tenant's plugins define, shown in `/metrics` by tenant, plugin and name. */
export interface MetricSeries {
  /**
   * Handle of a series, the same for the same plugin and name; −1 when the tenant has as many as it may, when the plugin has
   * one of this name and another kind, or when it is no name: 1–128 visible ASCII characters, no quotes and backslashes.
   */
  define(plugin: string, kind: MetricKind, name: string): number;
  /** To a counter, by what is not negative, or to a gauge. False: there is no such series, or it is not for that. */
  add(handle: number, delta: number): boolean;
  /** A gauge's value, or an observation of a histogram; a counter's only if that is not less. */
  record(handle: number, value: number): boolean;
  /** A histogram's is the number of its observations. NaN: there is no such series. */
  value(handle: number): number;
}

/** Whether a call may run now. */
export const ADMIT = 0;
/** The tenant has had its part of this turn: others first. */
export const DEFER = 1;
/** The tenant's fuel of this second is used up. */
export const REFUSE = 2;
export type Admission = 0 | 1 | 2;

/** A number of things at one time. */
export interface Allowance {
  /** False when all are taken. */
  take(): boolean;
  give(): void;
}

export interface TenantAccount {
  readonly name: string;
  readonly metrics: MetricSeries;
  /** Guests of all filters. */
  readonly guests: Allowance;
  /** Guests that wait. */
  readonly suspended: Allowance;
  /** Null: no route of the tenant grants it. A filter's own `allow` is for the caller to check. */
  readonly keyValue: KeyValueStore | null;
  /** Asked before a call of a hook. */
  admit(): Admission;
  /** Told after it. */
  spend(fuel: number): void;
  /** After DEFER: runs when others have had their turn. False: too many wait already, and nothing is kept. */
  defer(run: () => void): boolean;
  /** A line of log. False: none is left, which is counted. */
  takeLogLine(): boolean;
}
