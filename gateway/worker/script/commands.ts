/** Commands that run for streams of this worker (`exec`): started by the supervisor, told to us by number. */
import { defined } from "#core/assert.ts";
import type { KernelRequest } from "#pipeline/host.ts";
import type { RunningCommand } from "#pipeline/runtime.ts";
import type { Descriptors } from "#worker/descriptors.ts";

export interface CommandsParts {
  readonly descriptors: Descriptors;
  /** Takes in what has come over the descriptor channel. */
  receive(): void;
  ask(request: KernelRequest): Promise<unknown>;
}

export class Commands {
  readonly #parts: CommandsParts;
  /** Who hears of the end of each. */
  readonly #running = new Map<number, (failure: string | null) => void>();
  #runs = 0;

  constructor(parts: CommandsParts) {
    this.#parts = parts;
  }

  async run(command: string, exited: (failure: string | null) => void): Promise<RunningCommand> {
    const { descriptors, receive, ask } = this.#parts;
    const run = ++this.#runs;
    this.#running.set(run, exited);
    try {
      const tag = (await ask({ op: "exec", command, run })) as number;
      receive();
      return { fd: defined(descriptors.take(tag), "the socket of a command"), end: () => this.#end(run) };
    } catch (error) {
      this.#running.delete(run);
      throw error;
    }
  }

  exited(run: number, failure: string | null): void {
    this.#running.get(run)?.(failure);
    this.#running.delete(run);
  }

  #end(run: number): void {
    if (this.#running.delete(run)) void this.#parts.ask({ op: "end", run });
  }
}
