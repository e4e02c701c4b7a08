/** For the supervisor: what the workers count in memory that they share with it (#observe/metrics-block.ts): read without asking anyone. */
import { Counters } from "#observe/counters.ts";
import { type MeterReading, Meters } from "#observe/meters.ts";
import type { MetricsBlock } from "#observe/metrics-block.ts";
import { StreamCounters } from "#observe/stream-counters.ts";
import { OUTCOMES } from "#proxy/outcomes.ts";
import { STREAM_OUTCOMES } from "#proxy/stream/outcomes.ts";

const CODES = OUTCOMES.map((one) => one.code);

export class SharedMetrics {
  readonly #blocks: readonly MetricsBlock[];

  /** One for each worker. */
  constructor(blocks: readonly MetricsBlock[]) {
    this.#blocks = blocks;
  }

  /** By name, as a worker would say them itself. */
  counters(worker: number): Record<string, number> {
    const block = this.#blocks[worker];
    return block === undefined ? {} : { ...countersOf(block).read(), ...streamsOf(block).read() };
  }

  /** Of all workers. */
  meters(): MeterReading[] {
    return this.#blocks.flatMap((block) => new Meters(block).read());
  }

  /** The worker is gone. What it counted stays, and its next life goes on. */
  died(worker: number): void {
    const block = this.#blocks[worker];
    if (block === undefined) return;
    countersOf(block).closed();
    streamsOf(block).closed();
  }
}

function countersOf(block: MetricsBlock): Counters {
  return new Counters(CODES, block);
}

function streamsOf(block: MetricsBlock): StreamCounters {
  return new StreamCounters(STREAM_OUTCOMES, block);
}
