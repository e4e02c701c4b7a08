/**
 * Pipelines without sockets: a runtime over a small arena and a clock of its own, events fed by hand, and what comes out
 * as one line an event. `rig.check()` fails when a buffer or head was not given back.
 */
import { HttpDate } from "#http/date.ts";
import { headScratch } from "#proxy/head-scratch.ts";
import { createFakeDriver } from "#io/fake/driver.ts";
import { createArena } from "#io/arena.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import { Loop } from "#io/loop.ts";
import { WriteGather } from "#net/gather.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { ENDED } from "#pipeline/events/ending.ts";
import { writeBytes } from "#pipeline/events/emit.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import { CountedSource, Flow } from "#pipeline/flow.ts";
import { HeadPool } from "#pipeline/http/head-pool.ts";
import type { Context } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import { pipeline, type Layout } from "#pipeline/layout/layout.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import { Promises, type Runtime } from "#pipeline/runtime.ts";

const NO_SOCKET = { getOption: () => new Uint8Array(0), setOption: () => {} };

const ARENA_BUFFERS = 64;

export interface RigRuntime extends Runtime {
  /** What scripts threw. */
  readonly reported: unknown[];
  readonly logged: string[];
}

const RIG_EPOCH_MS = 784_111_777_000;
/** Of responses that are made in a rig. */
export const RIG_DATE = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

export function rigRuntime(): RigRuntime {
  const driver = createFakeDriver({ arena: createArena(ARENA_BUFFERS * BUFFER_BYTES), seed: 1 });
  const loop = new Loop(driver, () => driver.nowMs);
  const scratch = headScratch(driver.buffers);
  const [reported, logged]: [unknown[], string[]] = [[], []];
  return {
    loop,
    buffers: driver.buffers,
    gather: new WriteGather(),
    scratch,
    heads: new HeadPool(scratch),
    date: new HttpDate(loop, () => RIG_EPOCH_MS),
    flow: new Flow(),
    promises: new Promises(loop),
    retired: false,
    waiters: new Set(),
    rawSocket: () => NO_SOCKET,
    clientTls: () => {
      throw new Error("no TLS in the rig");
    },
    clientTlsOverStream: () => {
      throw new Error("no TLS in the rig");
    },
    serverTlsOverStream: () => {
      throw new Error("no TLS in the rig");
    },
    resolve: () => {},
    run: () => Promise.reject(new Error("no commands in the rig")),
    report: (error) => void reported.push(error),
    log: (line) => void logged.push(line),
    reported,
    logged,
  };
}

/** Says what it is told: `<GET /x>`, `"bytes"`, `</>`, `END code`; pieces of bytes that follow one another are one. */
export class Transcript implements Sink {
  readonly #memory: Uint8Array;
  readonly lines: string[] = [];
  #open = false;

  constructor(memory: Uint8Array) {
    this.#memory = memory;
  }

  messageStart(head: object): void {
    this.#line(`<${describe(head)}>`);
  }

  data(_buffer: number, start: number, end: number): void {
    const text = Buffer.from(this.#memory.subarray(start, end)).toString("latin1");
    if (this.#open) this.lines[this.lines.length - 1] += text;
    else this.lines.push(text);
    this.#open = true;
  }

  messageEnd(tail: object | null): void {
    this.#line(tail === null ? "</>" : `</ ${JSON.stringify(tail)}>`);
  }

  streamEnd(ending: Ending): void {
    this.#line(ending === ENDED ? "END" : `END ${ending.code}`);
  }

  #line(line: string): void {
    this.#open = false;
    this.lines.push(line);
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

function describe(head: object): string {
  const { method, path, status } = head as { method?: string; path?: string; status?: number };
  if (status !== undefined && status !== 0) return String(status);
  return method === undefined ? JSON.stringify(head) : `${method} ${path}`;
}

class RigSource extends CountedSource {
  protected override stop(): void {}
  protected override go(): void {}
}

export interface Rig<C extends object> {
  readonly runtime: RigRuntime;
  readonly instance: Instance<C>;
  readonly out: Transcript;
  /** What feeds: paused when the pipeline has enough. */
  readonly source: CountedSource;
  start(head: object): void;
  data(text: string | Uint8Array): void;
  end(tail?: object | null): void;
  close(ending?: Ending): void;
  /** Lets the loop turn until so many of its milliseconds have passed. */
  pass(ms: number): void;
  /** Disposes, and throws when something was not given back. */
  check(): void;
}

const NOBODY = {} as Context<object>;

export function rig<C extends object>(
  build: (($: Layout<C>) => Layout<C>) | Pipeline<C>,
  context: Context<C> = NOBODY as Context<C>,
  runtime: RigRuntime = rigRuntime(),
): Rig<C> {
  const out = new Transcript(runtime.buffers.memory);
  const free = runtime.buffers.free;
  const instance = new Instance(pipeline<C>(build), { ...context }, runtime, out);
  const source = new RigSource();
  const feed = (act: () => void): void => {
    runtime.flow.current = source;
    act();
  };
  instance.start();
  return {
    runtime,
    instance,
    out,
    source,
    start: (head) => feed(() => instance.input.messageStart(head)),
    data: (content) =>
      feed(() => {
        writeBytes(typeof content === "string" ? Buffer.from(content, "latin1") : content, instance.input, runtime);
      }),
    end: (tail = null) => feed(() => instance.input.messageEnd(tail)),
    close: (ending = ENDED) => feed(() => instance.input.streamEnd(ending)),
    pass: (ms) => {
      const { loop } = runtime;
      const until = loop.nowMs + ms;
      while (loop.nowMs < until) {
        const next = loop.timers.nextWaitMs(loop.nowMs);
        loop.turn(Math.min(until - loop.nowMs, next < 0 ? Infinity : Math.max(1, next)));
      }
    },
    check: () => {
      instance.dispose();
      if (runtime.buffers.free !== free) throw new Error(`${free - runtime.buffers.free} buffers were not given back`);
    },
  };
}
