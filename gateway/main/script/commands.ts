/**
 * Commands of scripts (`exec`), started here for streams of workers, which can start nothing. Only what the script's text names is
 * run, without a shell: what varies comes by standard input. As root they run as nobody, without groups; each in a process
 * group of its own, which is killed when the stream ends first.
 *
 *     worker ◀── one end of a socket pair ─── standard input and output ──▶ command          standard error: to the log
 */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { scriptError } from "#core/errors/script.ts";
import { UNPRIVILEGED } from "#main/confine/policies.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { tagged } from "#main/supervisor/tags.ts";
import type { WorkerProcess } from "#main/supervisor/worker-process.ts";
import { setBlocking } from "#sys/blocking.ts";
import { close, socketpair } from "#sys/socket.ts";
import type { KernelRequest, ScriptBundle } from "#worker/script/protocol.ts";

/** At a time, of all workers: each is a process. */
const RUNNING_MAX = 256;
/** Of what a command complains, kept for the log. */
const COMPLAINT_MAX = 1000;

type Commands = Pick<ScriptBundle, "commands" | "entry">;
type Asked = Extract<KernelRequest, { op: "exec" | "end" }>;

export class ScriptCommands {
  readonly #log: LogSink;
  /** Of the script in force, and of the one before, whose streams may still be under way. */
  #allowed: readonly Commands[] = [];
  /** By worker and its number. */
  readonly #running = new Map<string, ChildProcess>();

  constructor(log: LogSink) {
    this.#log = log;
  }

  allow(bundle: Commands): void {
    this.#allowed = [bundle, ...this.#allowed.slice(0, 1)];
    for (const command of bundle.commands) this.#log("info", "the script may run a command", { command });
  }

  /** Answers the tag of the socket that was handed over. Throws with the reason, which the script gets. */
  serve(worker: WorkerProcess, request: Asked): number | undefined {
    const key = `${worker.slot} ${request.run}`;
    if (request.op === "exec") return this.#start(worker, key, request);
    this.#kill(key);
    return undefined;
  }

  #start(worker: WorkerProcess, key: string, { command, run }: Asked & { op: "exec" }): number {
    const named = this.#allowed.find(({ commands }) => commands.includes(command));
    if (named === undefined)
      throw scriptError("PENSTOCK_SCRIPT_COMMAND", {
        detail: `${JSON.stringify(command)} is not written out in the script`,
      });
    if (this.#running.size >= RUNNING_MAX)
      throw scriptError("PENSTOCK_SCRIPT_COMMAND", { detail: `${command}: ${RUNNING_MAX} commands run already` });
    const [first = "", ...words] = command.trim().split(/\s+/);
    const file = /^\.\.?\//.test(first) ? fileURLToPath(new URL(first, named.entry)) : first;
    const [ours, theirs] = socketpair();
    const item = tagged(ours);
    try {
      setBlocking(theirs, true);
      const child = spawn(file, words, {
        stdio: [theirs, theirs, "pipe"],
        cwd: "/",
        env: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" },
        // A group of its own, to be ended as a whole.
        detached: true,
        ...(process.getuid?.() === 0 ? UNPRIVILEGED : {}),
      });
      this.#running.set(key, child);
      this.#follow(child, key, (failure) => worker.tellScript({ type: "script-exited", run, failure }));
      worker.hand(item);
      return item.tag;
    } catch (error) {
      this.#kill(key);
      throw error;
    } finally {
      close(theirs);
      close(ours);
    }
  }

  #follow(child: ChildProcess, key: string, exited: (failure: string | null) => void): void {
    let complaint = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaint = (complaint + text).slice(0, COMPLAINT_MAX);
    });
    const ended = (failure: string | null): void => {
      // A worker's next life counts from the beginning.
      if (this.#running.get(key) !== child) return;
      this.#running.delete(key);
      exited(failure === null ? null : [failure, complaint.trim()].filter((part) => part !== "").join(": "));
    };
    child.once("error", (error) => ended(error.message));
    child.once("close", (code, signal) =>
      ended(code === 0 ? null : signal === null ? `exit code ${code}` : `${signal}`),
    );
  }

  /** Of a worker that has died. */
  endOf(slot: number): void {
    for (const key of this.#running.keys()) if (key.startsWith(`${slot} `)) this.#kill(key);
  }

  close(): void {
    for (const key of this.#running.keys()) this.#kill(key);
    this.#allowed = [];
  }

  #kill(key: string): void {
    const { pid } = this.#running.get(key) ?? {};
    this.#running.delete(key);
    if (pid === undefined) return;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended by itself.
    }
  }
}
