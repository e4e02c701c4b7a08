/**
 * What the kernel part needs in regular intervals. Steering holds only while a lease does (see kernel.md): renewed here as
 * long as a worker serves, so that a gateway that hangs or dies leaves connections to find their own way. Expired entries
 * are void to everyone who reads them; sweeping only gives their room back.
 */
import type { KernelPart } from "./kernel-part.ts";
import type { Workers } from "./workers.ts";

const SWEEP_MS = 1_000;

export class KernelUpkeep {
  readonly #kernel: KernelPart;
  readonly #workers: Workers;
  #renewal: NodeJS.Timeout | null = null;
  #sweeping: NodeJS.Timeout | null = null;

  constructor(kernel: KernelPart, workers: Workers) {
    this.#kernel = kernel;
    this.#workers = workers;
  }

  /** After every change of what is in force: nothing to keep up, no timer, no wake-up. */
  refresh(): void {
    this.stop();
    this.#renew();
    if (this.#kernel.holdsExpiries() || this.#kernel.maintains()) {
      this.#sweeping = setInterval(() => this.#everySecond(), SWEEP_MS);
    }
  }

  #everySecond(): void {
    this.#kernel.sweep();
    this.#kernel.maintain();
  }

  #renew(): void {
    const intervalMs = this.#kernel.leaseIntervalMs();
    if (intervalMs === null) return;
    if (this.#workers.all.some((worker) => worker.state === "ready")) this.#kernel.renewLeases();
    this.#renewal = setTimeout(() => this.#renew(), intervalMs);
  }

  stop(): void {
    if (this.#renewal !== null) clearTimeout(this.#renewal);
    if (this.#sweeping !== null) clearInterval(this.#sweeping);
    this.#renewal = null;
    this.#sweeping = null;
  }
}
