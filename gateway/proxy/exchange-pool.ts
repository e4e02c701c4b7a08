/** Exchanges at rest: as many as were ever under way at one time, up to a bound. */
import type { WorkerContext } from "./context.ts";
import { ProxyExchange } from "./exchange.ts";

/** Two offset tables each, about 16 KiB: enough for the requests that are really under way at one time. */
const KEPT_MAX = 1024;

export class ExchangePool {
  readonly #free: ProxyExchange[] = [];
  readonly #worker: WorkerContext;
  #taken = 0;

  constructor(worker: WorkerContext) {
    this.#worker = worker;
  }

  /** Exchanges under way. */
  get taken(): number {
    return this.#taken;
  }

  take(): ProxyExchange {
    this.#taken++;
    return this.#free.pop() ?? new ProxyExchange(this.#worker, this);
  }

  give(exchange: ProxyExchange): void {
    this.#taken--;
    if (this.#free.length < KEPT_MAX) this.#free.push(exchange);
  }

  retire(): void {
    this.#taken--;
  }
}
