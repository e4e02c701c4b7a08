/** Exchanges at rest: as many as were ever under way at one time, up to a bound. */
import type { WorkerContext } from "./context.ts";
import { ProxyExchange } from "./exchange.ts";

/** Two offset tables each, about 16 KiB: enough for the requests that are really under way at one time. */
const KEPT_MAX = 1024;

export class ExchangePool {
  readonly #free: ProxyExchange[] = [];
  #worker: WorkerContext | null = null;
  #taken = 0;

  /** Once, when the worker's context is whole. */
  attach(worker: WorkerContext): void {
    this.#worker = worker;
  }

  get taken(): number {
    return this.#taken;
  }

  take(): ProxyExchange {
    this.#taken++;
    const worker = this.#worker as WorkerContext;
    return this.#free.pop() ?? new ProxyExchange(worker, worker.scratch);
  }

  give(exchange: ProxyExchange): void {
    this.#taken--;
    if (this.#free.length < KEPT_MAX) this.#free.push(exchange);
  }
}
