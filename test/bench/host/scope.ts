/**
 * What a bench leaves behind: nothing. Owns the processes it starts and its temporary directories; `close` ends them by
 * pid, the last one first, also when a bench fails or is interrupted. If the bench itself is killed, the kernel ends
 * its children (PR_SET_PDEATHSIG).
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const STOP_MS = 5000;

export interface SpawnOptions {
  /** CPU the process and its children stay on. */
  readonly cpu: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A process of a bench, with all it has printed. */
export class Child {
  readonly process: ChildProcess;
  readonly name: string;
  output = "";
  errors = "";

  constructor(name: string, process: ChildProcess) {
    this.name = name;
    this.process = process;
    process.stdout?.setEncoding("utf8").on("data", (text: string) => (this.output += text));
    process.stderr?.setEncoding("utf8").on("data", (text: string) => (this.errors += text));
  }

  get pid(): number {
    if (this.process.pid === undefined) throw new Error(`${this.name} did not start`);
    return this.process.pid;
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Why it is of no more use: for error messages. */
  get lastWords(): string {
    return `${this.name} ended with ${this.process.exitCode ?? this.process.signalCode}: ${this.errors.slice(-2000)}`;
  }

  async exit(): Promise<number | null> {
    if (!this.ended) await once(this.process, "exit");
    return this.process.exitCode;
  }

  /** SIGTERM, and SIGKILL for what does not listen to it. */
  async stop(): Promise<void> {
    if (this.ended || this.process.pid === undefined) return;
    this.process.kill("SIGTERM");
    const late = setTimeout(() => this.process.kill("SIGKILL"), STOP_MS);
    await this.exit();
    clearTimeout(late);
  }
}

export class Scope {
  readonly #children: Child[] = [];
  readonly #directories: string[] = [];

  /** A directory that unprivileged processes may pass through. */
  directory(): string {
    const path = mkdtempSync(join(tmpdir(), "penstock-bench-"));
    chmodSync(path, 0o755);
    this.#directories.push(path);
    return path;
  }

  spawn(command: string, args: readonly string[], { cpu, environment }: SpawnOptions): Child {
    const pinned = ["--pdeathsig", "TERM", "taskset", "-c", String(cpu), command, ...args];
    const child = new Child(
      command,
      spawn("setpriv", pinned, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...environment } }),
    );
    this.#children.push(child);
    return child;
  }

  async close(): Promise<void> {
    for (let child = this.#children.pop(); child !== undefined; child = this.#children.pop()) await child.stop();
    for (const path of this.#directories.splice(0)) rmSync(path, { recursive: true, force: true });
  }
}

/** Runs `work` in a scope that is closed whatever happens, also on Ctrl-C and SIGTERM. */
export async function inScope<T>(work: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = new Scope();
  const interrupted = (signal: NodeJS.Signals): void => {
    void scope.close().finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  process.once("SIGINT", interrupted);
  process.once("SIGTERM", interrupted);
  try {
    return await work(scope);
  } finally {
    await scope.close();
    process.off("SIGINT", interrupted);
    process.off("SIGTERM", interrupted);
  }
}
