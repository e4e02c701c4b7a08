/**
 * SIGINT and SIGTERM end the gateway in order, a second one at once. SIGHUP reads declaration and script again. SIGUSR2 hands over to
 * a new process, of the version that is installed now.
 */
import type { LogSink } from "#main/supervisor/log.ts";
import type { Supervisor } from "#main/supervisor/supervisor.ts";
import type { Upgrade } from "#main/upgrade/upgrade.ts";
import type { Reload } from "./reload.ts";
import type { ServiceManager } from "./service-manager.ts";

const ENDING = ["SIGINT", "SIGTERM"] as const;

export class StopSignals {
  /** Resolves once a signal has come and everything is stopped. */
  readonly stopped: Promise<void>;
  readonly #supervisor: Supervisor;
  readonly #reloads: readonly Reload[];
  readonly #manager: ServiceManager;
  readonly #log: LogSink;
  #resolve: () => void = () => {};
  #count = 0;
  readonly #onEnding = (signal: NodeJS.Signals): void => this.#end(signal);
  readonly #upgrade: Upgrade;
  readonly #onUpgrade = (): void => this.#upgrade.request("SIGUSR2");

  /** `reloads`: none when the configuration is only in the store. */
  constructor(
    supervisor: Supervisor,
    upgrade: Upgrade,
    reloads: readonly Reload[],
    manager: ServiceManager,
    log: LogSink,
  ) {
    this.#upgrade = upgrade;
    this.#supervisor = supervisor;
    this.#reloads = reloads;
    this.#manager = manager;
    this.#log = log;
    this.stopped = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of ENDING) process.on(signal, this.#onEnding);
    process.on("SIGUSR2", this.#onUpgrade);
    process.on("SIGHUP", this.#onHangup);
  }

  readonly #onHangup = (): void => {
    if (this.#reloads.length === 0) this.#log("info", "SIGHUP: no file was given, so nothing is read again");
    for (const reload of this.#reloads) reload.request("SIGHUP");
  };

  #end(signal: string): void {
    this.#count++;
    if (this.#count === 1) {
      this.#manager.stopping();
      this.#log("info", `${signal}: draining; once more to stop at once`);
      void Promise.all([this.#supervisor.stop(), this.#upgrade.cancel()]).then(() => this.#resolve());
    } else {
      this.#log("info", `${signal}: stopping at once`);
      this.#supervisor.force();
    }
  }

  dispose(): void {
    for (const signal of ENDING) process.off(signal, this.#onEnding);
    process.off("SIGUSR2", this.#onUpgrade);
    process.off("SIGHUP", this.#onHangup);
  }
}
