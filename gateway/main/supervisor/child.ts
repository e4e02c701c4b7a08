/**
 * One child for good: started, watched, started again when it dies. What the child does is its owner's business; this
 * keeps the process and its back-off. Processes are ended by pid, never by name.
 */
import type { ChildProcess } from "node:child_process";
import type { LogSink } from "./log.ts";
import { Backoff } from "./backoff.ts";

export interface ChildHandler {
  /** Starts the process. Throws when that fails, which counts as a death. */
  start(): ChildProcess;
  onMessage(message: unknown): void;
  /** The process is gone; it will be started again in `restartMs`, or never (null). */
  onDeath(reason: string, restartMs: number | null): void;
}

export class Child {
  readonly name: string;
  readonly #handler: ChildHandler;
  readonly #log: LogSink;
  readonly #backoff = new Backoff();
  #process: ChildProcess | null = null;
  #startedMs = 0;
  #timer: NodeJS.Timeout | null = null;
  #wanted = false;
  #gone: (() => void)[] = [];
  restarts = 0;

  constructor(name: string, handler: ChildHandler, log: LogSink) {
    this.name = name;
    this.#handler = handler;
    this.#log = log;
  }

  /** 0 while it is down. */
  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  start(): void {
    this.#wanted = true;
    this.#startedMs = Date.now();
    let child: ChildProcess;
    try {
      child = this.#handler.start();
    } catch (error) {
      this.#died(`not started: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    this.#process = child;
    child.on("message", (message) => {
      if (this.#process === child) this.#handler.onMessage(message);
    });
    // Sending to a process that has just died is no error of ours: its exit follows.
    child.on("error", (error) => this.#log("debug", `${this.name}: ${error.message}`));
    child.once("exit", (code, signal) => {
      if (this.#process !== child) return;
      this.#process = null;
      this.#died(signal === null ? `exited with ${code}` : `killed by ${signal}`);
    });
  }

  #died(reason: string): void {
    for (const resolve of this.#gone.splice(0)) resolve();
    const restartMs = this.#wanted ? this.#backoff.next(Date.now() - this.#startedMs) : null;
    if (restartMs !== null) {
      this.restarts++;
      this.#timer = setTimeout(() => this.start(), restartMs);
    }
    this.#handler.onDeath(reason, restartMs);
  }

  /** False when there is nobody to send to. */
  send(message: object): boolean {
    if (this.#process === null || !this.#process.connected) return false;
    return this.#process.send(message) || this.#process.connected;
  }

  /** Ends this life at once; another follows. */
  kill(): void {
    this.#process?.kill("SIGKILL");
  }

  /** No more lives after this one. `ask` tells the process to end; after `deadlineMs` it is killed. Resolves once it is gone. */
  async stop(ask: () => void, deadlineMs: number): Promise<void> {
    this.#wanted = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#process === null) return;
    const gone = new Promise<void>((resolve) => this.#gone.push(resolve));
    ask();
    const timer = setTimeout(() => {
      this.#log("warn", `${this.name}: still there after ${deadlineMs} ms, killed`);
      this.kill();
    }, deadlineMs);
    await gone;
    clearTimeout(timer);
  }
}
