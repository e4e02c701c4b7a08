/** The program that moves bytes between sockets, and its maps, for a data plane in the test's own process. */
import { attachToSockets, type LegacyAttachment } from "#bpf/kernel/attach.ts";
import { Collection } from "#bpf/kernel/collection.ts";
import { sumPerCpu } from "#bpf/kernel/counters.ts";
import { committedSpec } from "#bpf/kernel/objects.ts";
import { requireKernel } from "#bpf/manager/probe.ts";
import { KernelSockmap } from "#worker/maps/kernel-sockmap.ts";

export interface Moving {
  readonly io: "io_uring" | "epoll";
  /** By a program in the kernel, else by the process. */
  readonly joined: boolean;
}

/** Each driver with and without the program; without it alone, and the reason is printed, where there can be none. `what`: is skipped then. */
export function movings(what: string): Moving[] {
  const without = noSockmap();
  if (without !== null) process.stdout.write(`skipped: ${what} that the kernel moves: ${without}\n`);
  const drivers = ["io_uring", "epoll"] as const;
  return (without === null ? [false, true] : [false]).flatMap((joined) => drivers.map((io) => ({ io, joined })));
}

/** Null, or why there can be none here. */
export function noSockmap(): string | null {
  try {
    requireKernel();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

export interface SockmapCounts {
  readonly moved: number;
  readonly passed: number;
  /** Cut, since they had been there before. */
  readonly repeated: number;
  readonly backlogs: number;
}

export class SockmapRig {
  readonly sockmap: KernelSockmap;
  readonly #collection = Collection.load(committedSpec("splice"));
  readonly #attachment: LegacyAttachment;

  constructor() {
    const map = (name: string) => this.#collection.map(`splice_${name}`);
    this.#attachment = attachToSockets(this.#collection.program("splice"), map("sockets"));
    this.sockmap = new KernelSockmap({ sockets: map("sockets").fd, taken: map("taken").fd, moved: map("moved").fd });
  }

  counts(): SockmapCounts {
    const [moved = 0, passed = 0, repeated = 0, backlogs = 0] = sumPerCpu(this.#collection.map("splice_counters"));
    return { moved, passed, repeated, backlogs };
  }

  /** Entries of sockets: none, when all relays have ended. */
  left(): number {
    return ["sockets", "taken", "moved"].reduce(
      (sum, name) => sum + this.#collection.map(`splice_${name}`).entries().length,
      0,
    );
  }

  close(): void {
    this.#attachment.close();
    this.#collection.close();
  }
}
