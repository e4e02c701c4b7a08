/**
 * Requests all the time while a gateway is being changed: a few connections, one request at a time on each, every answer
 * looked at. Not a measurement of throughput: it is here to miss a request that is lost.
 */
import { Agent, get } from "node:http";

const CONNECTIONS = 8;

export interface LoadReport {
  readonly requests: number;
  readonly failures: readonly string[];
  readonly longestMs: number;
}

export class SteadyLoad {
  readonly #origin: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  readonly #running: Promise<void>[];
  readonly #failures: string[] = [];
  #stopped = false;
  #requests = 0;
  #longestMs = 0;

  constructor(origin: string) {
    this.#origin = origin;
    this.#running = Array.from({ length: CONNECTIONS }, () => this.#run());
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      const outcome = await this.#once();
      this.#requests++;
      this.#longestMs = Math.max(this.#longestMs, performance.now() - began);
      if (outcome !== "200") this.#failures.push(outcome);
    }
  }

  #once(): Promise<string> {
    return new Promise((resolve) => {
      const asked = get(this.#origin, { agent: this.#agent }, (response) => {
        response.resume().on("end", () => resolve(String(response.statusCode)));
        response.on("error", (error) => resolve(error.message));
      });
      asked.on("error", (error) => resolve(error.message));
    });
  }

  async stop(): Promise<LoadReport> {
    this.#stopped = true;
    await Promise.all(this.#running);
    this.#agent.destroy();
    return { requests: this.#requests, failures: this.#failures, longestMs: this.#longestMs };
  }
}
