/**
 * Steering holds only while a lease does (see kernel.md): renewed here as long as a worker serves, so that a gateway that
 * hangs or dies leaves connections to find their own way.
 */
import type { KernelPart } from "./kernel-part.ts";
import type { Workers } from "./workers.ts";

/** How often to look for steering when there is none. */
const LOOK_MS = 1_000;

export class LeaseKeeper {
  readonly #kernel: KernelPart;
  readonly #workers: Workers;
  #timer: NodeJS.Timeout | null = null;

  constructor(kernel: KernelPart, workers: Workers) {
    this.#kernel = kernel;
    this.#workers = workers;
  }

  start(): void {
    if (this.#workers.all.some((worker) => worker.state === "ready")) this.#kernel.renewLeases();
    this.#timer = setTimeout(() => this.start(), this.#kernel.leaseIntervalMs() ?? LOOK_MS);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }
}
