/**
 * Upgrade of the running program, on the side of the old one: SIGUSR2 starts a successor, which takes sockets, keys, maps and
 * the kernel part; no connection is refused, since the sockets never close, and none is cut, since the workers here end what
 * they have. Whatever goes wrong before the successor is ready, this gateway goes on as before.
 */
import type { Installation } from "#main/confine/installation.ts";
import type { DataDirectory } from "#main/supervisor/data-directory.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { Supervisor } from "#main/supervisor/supervisor.ts";
import type { MapChangeMessage } from "#worker/protocol.ts";
import type { Fd } from "#core/brands.ts";
import { Successor } from "./successor.ts";

export interface UpgradeOptions {
  readonly supervisor: Supervisor;
  readonly data: DataDirectory;
  readonly installation: Installation;
  /** Of this gateway's own command line. */
  readonly args: readonly string[];
  /** The example's echo server; null when it does not run. */
  readonly echo: () => Fd | null;
  /** The service manager must know whom to watch before the successor speaks to it. */
  readonly handedTo: (pid: number) => void;
  readonly log: LogSink;
}

export class Upgrade {
  readonly #options: UpgradeOptions;
  #successor: Successor | null = null;
  /** Resolves when a successor has taken over and everything here has ended. */
  readonly over: Promise<void>;
  #isOver: () => void = () => {};
  #running: Promise<void> | null = null;
  #handed = false;
  /** This gateway is ready itself: it has something to hand over. */
  #allowed = false;

  constructor(options: UpgradeOptions) {
    this.#options = options;
    this.over = new Promise((resolve) => {
      this.#isOver = resolve;
    });
    options.supervisor.onMapChange = (change: MapChangeMessage) => this.#successor?.tell(change);
  }

  allow(): void {
    this.#allowed = true;
  }

  /** `why` is for the log: `SIGUSR2`. One at a time. */
  request(why: string): void {
    const { log } = this.#options;
    if (this.#handed) {
      log("info", `${why}: a successor has taken over already`);
    } else if (process.pid === 1) {
      this.#refuse("this is the container's first process, and when that ends all end: start another container");
    } else if (!this.#allowed || this.#options.supervisor.stopping) {
      this.#refuse("it is not ready itself, or is about to end");
    } else if (this.#running === null) {
      log("info", `${why}: starting a successor`);
      this.#running = this.#run().finally(() => {
        this.#running = null;
      });
    } else {
      log("info", `${why}: an upgrade is under way`);
    }
  }

  /** This gateway is to stop: a successor that is not ready yet is not wanted any more. */
  async cancel(): Promise<void> {
    const successor = this.#successor;
    if (successor === null || this.#handed) return;
    await successor.end();
  }

  async #run(): Promise<void> {
    const { supervisor, installation, args, log } = this.#options;
    let successor: Successor | null = null;
    let controlStopped = false;
    try {
      successor = Successor.start(installation, args, log);
      this.#successor = successor;
      const version = await successor.hello();
      log("info", `successor ${successor.pid}, version ${version}, takes over`);
      const { estate, descriptors } = await supervisor.estate(this.#options.echo());
      successor.handOver(estate, descriptors);
      await successor.serving();
      controlStopped = true;
      await supervisor.stopControl();
      successor.tell({ type: "control" });
      const revision = await successor.ready();
      await this.#leave(successor, revision);
    } catch (error) {
      await this.#goOn(successor, controlStopped, error instanceof Error ? error.message : String(error));
    }
  }

  async #leave(successor: Successor, revision: number): Promise<void> {
    const { supervisor, data, handedTo, log } = this.#options;
    this.#handed = true;
    handedTo(successor.pid);
    data.leave();
    supervisor.letGo();
    successor.tell({ type: "yours" });
    log("info", `process ${successor.pid} serves revision ${revision} from now on; this one ends what it has begun`);
    await supervisor.drainGently();
    successor.release();
    this.#isOver();
  }

  async #goOn(successor: Successor | null, controlStopped: boolean, why: string): Promise<void> {
    const { supervisor } = this.#options;
    if (successor?.hasGivenUp === false) await successor.end();
    if (successor !== null && !supervisor.stopping) supervisor.takeBack(controlStopped);
    this.#successor = null;
    this.#refuse(why);
    // What it has accepted is answered by it, and nobody needs to wait for that.
    void successor?.end();
  }

  #refuse(why: string): void {
    this.#options.log("error", `the upgrade failed, and this gateway goes on: ${why}`);
    this.#options.data.note({ atMs: Date.now(), failed: why });
  }
}
