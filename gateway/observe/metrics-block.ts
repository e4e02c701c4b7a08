/**
 * The metrics of one worker, in memory that it shares with whoever reads them. The worker alone writes, by additions; a reader takes what
 * is there and asks nobody. What stands here outlives the worker: its next life goes on counting.
 *
 *     head   four lists of 64 slots: counters, outcomes, counters and outcomes of streams │ number of rows
 *     rows   name: length (u16), UTF-8 │ values of a meter (meters.ts)
 *
 * A row's name is written before the number of rows says that it is there, and neither name nor place changes.
 */
import { assert } from "#core/assert.ts";
import { BUCKETS } from "./histogram.ts";

const LIST_SLOTS = 64;
const LISTS = 4;
const HEAD_BYTES = LISTS * LIST_SLOTS * 8 + 8;
/** A kind, a tenant, a plugin's name and its version. */
const NAME_BYTES = 208;
/** Of a meter: what `meters.ts` has in front of the histogram, and the histogram. */
export const METER_SLOTS = 9 + BUCKETS;
const ROW_BYTES = NAME_BYTES + METER_SLOTS * 8;

/** `rows`: as many as there may be. A multiple of 8. */
export function metricsBlockBytes(rows: number): number {
  return HEAD_BYTES + rows * ROW_BYTES;
}

export class MetricsBlock {
  readonly counters: Float64Array;
  readonly outcomes: Float64Array;
  readonly streamCounters: Float64Array;
  readonly streamOutcomes: Float64Array;
  readonly #memory: ArrayBuffer;
  readonly #offset: number;
  readonly #rowsMax: number;
  readonly #rows: Int32Array;

  /** `offset`: a multiple of 8 in `memory`, from where on there is room for `rowsMax`. What stands there already is kept. */
  constructor(memory: ArrayBuffer, offset: number, rowsMax: number) {
    const list = (index: number) => new Float64Array(memory, offset + index * LIST_SLOTS * 8, LIST_SLOTS);
    this.counters = list(0);
    this.outcomes = list(1);
    this.streamCounters = list(2);
    this.streamOutcomes = list(3);
    this.#memory = memory;
    this.#offset = offset;
    this.#rowsMax = rowsMax;
    this.#rows = new Int32Array(memory, offset + HEAD_BYTES - 8, 1);
  }

  get rows(): number {
    return Atomics.load(this.#rows, 0);
  }

  name(row: number): string {
    const at = this.#place(row);
    const length = new DataView(this.#memory, at, 2).getUint16(0, true);
    return Buffer.from(this.#memory, at + 2, Math.min(length, NAME_BYTES - 2)).toString();
  }

  values(row: number): Float64Array {
    return new Float64Array(this.#memory, this.#place(row) + NAME_BYTES, METER_SLOTS);
  }

  /** The values of a new row; of none that anybody sees when there is no more room. */
  add(name: string): Float64Array {
    const row = this.rows;
    if (row >= this.#rowsMax) return new Float64Array(METER_SLOTS);
    const text = Buffer.from(name);
    assert(text.length <= NAME_BYTES - 2, "a meter's name has room in its row");
    const at = this.#place(row);
    new DataView(this.#memory, at, 2).setUint16(0, text.length, true);
    new Uint8Array(this.#memory, at + 2, text.length).set(text);
    Atomics.store(this.#rows, 0, row + 1);
    return this.values(row);
  }

  #place(row: number): number {
    return this.#offset + HEAD_BYTES + row * ROW_BYTES;
  }
}

/** Of a process that is alone. */
export function ownMetricsBlock(rowsMax: number): MetricsBlock {
  return new MetricsBlock(new ArrayBuffer(metricsBlockBytes(rowsMax)), 0, rowsMax);
}
