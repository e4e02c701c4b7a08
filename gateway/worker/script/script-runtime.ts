/** What the pipelines of one program share in this worker. */
import { Flow } from "#pipeline/flow.ts";
import { HeadPool } from "#pipeline/http/head-pool.ts";
import type { RawSocket } from "#pipeline/layout/context.ts";
import { Promises, type Buffers, type Loop, type Runtime, type Waiter } from "#pipeline/runtime.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Scratch } from "#http/scratch.ts";
import { asFd } from "#core/brands.ts";
import { getsockoptBytes, setsockoptBytes } from "#sys/socket.ts";
import { scriptPlace } from "./script-place.ts";

/** Shared by all programs of a worker. */
export interface ScriptShared {
  readonly flow: Flow;
  readonly heads: HeadPool;
  readonly promises: Promises;
}

export function scriptShared({ loop, scratch }: WorkerContext): ScriptShared {
  return { flow: new Flow(), heads: new HeadPool(scratch), promises: new Promises(loop) };
}

export class ScriptRuntime implements Runtime {
  readonly loop: Loop;
  readonly buffers: Buffers;
  readonly gather: WorkerContext["gather"];
  readonly scratch: Scratch;
  readonly heads: HeadPool;
  readonly flow: Flow;
  readonly promises: Promises;
  retired = false;
  readonly waiters = new Set<Waiter>();
  readonly #log: (line: string) => void;

  constructor(worker: WorkerContext, shared: ScriptShared) {
    this.loop = worker.loop;
    this.buffers = worker.buffers;
    this.gather = worker.gather;
    this.scratch = worker.scratch;
    this.heads = shared.heads;
    this.flow = shared.flow;
    this.promises = shared.promises;
    this.#log = (line) => worker.log(line);
  }

  /** What is under way ends. `now`: what waits for another request ends too. */
  retire(now: boolean): void {
    this.retired = true;
    if (now) for (const one of this.waiters) one.drain();
  }

  rawSocket(fd: number): RawSocket {
    return {
      getOption: (level, option, length) => getsockoptBytes(asFd(fd), level, option, length),
      setOption: (level, option, value) => setsockoptBytes(asFd(fd), level, option, value),
    };
  }

  report(error: unknown): void {
    this.#log(`script ${scriptPlace(error)}`);
  }

  log(line: string): void {
    this.#log(`script: ${line}`);
  }
}
