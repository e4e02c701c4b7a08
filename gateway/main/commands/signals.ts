/**
 * SIGINT and SIGTERM end the gateway in order, a second one at once. SIGHUP is kept for reading the declaration again and
 * SIGUSR2 for handing over to a new version: until they mean something they are noted, so that neither ends the gateway.
 */
import type { LogSink } from "#main/supervisor/log.ts";
import type { Supervisor } from "#main/supervisor/supervisor.ts";

const ENDING = ["SIGINT", "SIGTERM"] as const;
const KEPT = ["SIGHUP", "SIGUSR2"] as const;

export class StopSignals {
  /** Resolves once a signal has come and everything is stopped. */
  readonly stopped: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #log: LogSink;
  #resolve: () => void = () => {};
  #count = 0;
  readonly #onEnding = (signal: NodeJS.Signals): void => this.#end(signal);
  readonly #onKept = (signal: NodeJS.Signals): void => this.#log("info", `${signal}: nothing to do`);

  constructor(supervisor: Supervisor, log: LogSink) {
    this.#supervisor = supervisor;
    this.#log = log;
    this.stopped = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of ENDING) process.on(signal, this.#onEnding);
    for (const signal of KEPT) process.on(signal, this.#onKept);
  }

  #end(signal: string): void {
    this.#count++;
    if (this.#count === 1) {
      this.#log("info", `${signal}: draining; once more to stop at once`);
      void this.#supervisor.stop().then(this.#resolve);
    } else {
      this.#log("info", `${signal}: stopping at once`);
      this.#supervisor.force();
    }
  }

  dispose(): void {
    for (const signal of ENDING) process.off(signal, this.#onEnding);
    for (const signal of KEPT) process.off(signal, this.#onKept);
  }
}
