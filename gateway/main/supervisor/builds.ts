/**
 * Uploaded modules are validated and metered in processes of their own, one a module, a few at a time: confined like a
 * worker, without network, bounded in time by the clock and in memory by what the kernel says they use.
 */
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import type { BuildRequest, BuiltReply } from "#control/protocol.ts";
import type { BuildOrder, FromBuilder } from "#worker/protocol.ts";
import type { LogSink } from "./log.ts";

type Result = BuiltReply["result"];

/** Two cores are busy with two; more would only take turns. */
const AT_ONCE = 2;
/** Whatever a request asks for. */
const TIMEOUT_MS_MAX = 30_000;
/** Node takes 60 MiB by itself, and a module of 16 MiB is read into structures of some ten times its size. */
const RESIDENT_BYTES_MAX = 768 * 1024 * 1024;
const LOOK_EVERY_MS = 50;
const PAGE_BYTES = 4096;

export class Builds {
  readonly #spawn: () => ChildProcess;
  readonly #log: LogSink;
  readonly #running = new Set<ChildProcess>();
  readonly #waiting: (() => void)[] = [];
  #busy = 0;

  constructor(spawn: () => ChildProcess, log: LogSink) {
    this.#spawn = spawn;
    this.#log = log;
  }

  async build(request: BuildRequest): Promise<Result> {
    while (this.#busy >= AT_ONCE) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#busy++;
    try {
      return await this.#run(request);
    } finally {
      this.#busy--;
      this.#waiting.shift()?.();
    }
  }

  /** Ends all that run: their modules are refused. */
  stop(): void {
    for (const child of this.#running) child.kill("SIGKILL");
  }

  #run({ bytes, limits }: BuildRequest): Promise<Result> {
    const child = this.#spawn();
    this.#running.add(child);
    const order: BuildOrder = {
      type: "build",
      bytes,
      moduleBytesMax: limits.moduleBytesMax,
      memoryBytesMax: limits.memoryBytesMax,
    };
    return new Promise((resolve) => {
      let outcome: Result | null = null;
      const end = (result: Result): void => {
        outcome ??= result;
        child.kill("SIGKILL");
      };
      const timeoutMs = Math.min(limits.timeoutMs, TIMEOUT_MS_MAX);
      const clock = setTimeout(() => end(tooMuch(`no result in ${timeoutMs} ms`)), timeoutMs);
      const scale = setInterval(() => {
        const resident = residentBytes(child.pid ?? 0);
        if (resident > RESIDENT_BYTES_MAX) end(tooMuch(`${resident} bytes of memory`));
      }, LOOK_EVERY_MS);
      child.on("message", (message: FromBuilder) => {
        if (message.type === "hello") child.send(order);
        else end(resultOf(message));
      });
      child.on("error", (error) => this.#log("debug", `builder: ${error.message}`));
      child.once("exit", (code, signal) => {
        clearTimeout(clock);
        clearInterval(scale);
        this.#running.delete(child);
        resolve(outcome ?? died(signal === null ? `exited with ${code}` : `killed by ${signal}`));
      });
    });
  }
}

function resultOf(message: FromBuilder & { type: "built" }): Result {
  if (message.ok) return { ok: true, metered: message.metered, facts: message.facts };
  const { code, detail, offset } = message;
  return offset === undefined ? { ok: false, code, detail } : { ok: false, code, detail, offset };
}

function tooMuch(detail: string): Result {
  return { ok: false, code: "PENSTOCK_MAIN_BUILD_LIMIT", detail };
}

function died(how: string): Result {
  return { ok: false, code: "PENSTOCK_MAIN_CHILD", detail: `the builder ${how}` };
}

/** 0 when the process is gone. Source: proc_pid_statm(5), the second figure, in pages. */
function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")[1]) * PAGE_BYTES;
  } catch {
    return 0;
  }
}
