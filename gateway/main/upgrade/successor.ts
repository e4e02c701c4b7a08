/**
 * The process that is to take this gateway's place, as the old one sees it: started, answered, watched. It is the command
 * that started this gateway, run again; what stands at its path now may be another version.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { join } from "node:path";
import type { Installation } from "#main/confine/installation.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { sendDescriptors, SOCK_SEQPACKET } from "#sys/descriptors.ts";
import type { TaggedDescriptor } from "#sys/descriptors.ts";
import { close, socketpair } from "#sys/socket.ts";
import type { Fd } from "#core/brands.ts";
import {
  COMMAND_VARIABLE,
  PREDECESSOR_VARIABLE,
  UPGRADE_PROTOCOL,
  type Estate,
  type ToPredecessor,
  type ToSuccessor,
} from "./protocol.ts";

/** Node, a worker each, a store to open, a declaration with modules to check. */
const READY_MS = 120_000;
/** A successor that is told to go drains what it has accepted. */
const END_MS = 30_000;

export class Successor {
  readonly #child: ChildProcess;
  readonly #channel: Fd;
  readonly #log: LogSink;
  readonly #waiting = new Map<ToPredecessor["type"], (message: ToPredecessor) => void>();
  readonly #deadline: NodeJS.Timeout;
  #fail: (error: Error) => void = () => {};
  /** Rejects when it ends or takes too long before it is ready; never resolves. */
  readonly failed: Promise<never>;
  readonly gone: Promise<void>;
  /** It uses nothing of ours any more but the connections that it has accepted. */
  hasGivenUp = false;
  #ending: Promise<void> | null = null;

  private constructor(child: ChildProcess, channel: Fd, log: LogSink) {
    this.#child = child;
    this.#channel = channel;
    this.#log = log;
    this.failed = new Promise<never>((_resolve, reject) => {
      this.#fail = reject;
    });
    // Told to whoever waits for it; between two waits there is nobody.
    this.failed.catch(() => {});
    this.gone = new Promise((resolve) => {
      child.once("exit", (code, signal) => {
        this.hasGivenUp = true;
        this.#fail(new Error(signal === null ? `it exited with ${code}` : `it was killed by ${signal}`));
        resolve();
      });
    });
    child.once("error", (error) => this.#fail(error));
    child.on("message", (message) => this.#onMessage(message as ToPredecessor));
    this.#deadline = setTimeout(() => this.#fail(new Error(`it was not ready within ${READY_MS} ms`)), READY_MS);
  }

  /** `args`: of the command line, behind the program's name. */
  static start({ root }: Installation, args: readonly string[], log: LogSink): Successor {
    const [ours, theirs] = socketpair(SOCK_SEQPACKET);
    const { WATCHDOG_PID: _watched, ...env } = process.env;
    const called = process.env[COMMAND_VARIABLE];
    try {
      const child = spawn("/bin/sh", [called ?? join(root, "gateway/main/penstock.sh"), ...args], {
        stdio: ["ignore", "inherit", "inherit", "ipc", theirs],
        serialization: "advanced",
        env: { ...env, [PREDECESSOR_VARIABLE]: String(process.pid) },
      });
      return new Successor(child, ours, log);
    } catch (error) {
      close(ours);
      throw error;
    } finally {
      close(theirs);
    }
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Its first word; answers its version. Rejects like `failed`. */
  async hello(): Promise<string> {
    const hello = await this.#heard("hello");
    if (hello.type !== "hello" || hello.protocol !== UPGRADE_PROTOCOL) {
      throw new Error("it hands over in another way than this version; stop this one and start that one instead");
    }
    return hello.version;
  }

  handOver(estate: Estate, descriptors: readonly TaggedDescriptor[]): void {
    sendDescriptors(this.#channel, descriptors);
    this.tell({ type: "estate", estate });
  }

  async serving(): Promise<void> {
    await this.#heard("serving");
  }

  /** The revision it serves. */
  async ready(): Promise<number> {
    const ready = await this.#heard("ready");
    clearTimeout(this.#deadline);
    return ready.type === "ready" ? ready.revision : 0;
  }

  tell(message: ToSuccessor): void {
    if (this.#child.connected) this.#child.send(message);
  }

  /** It is the gateway: nothing holds this process to it any more. */
  release(): void {
    close(this.#channel);
    this.#child.unref();
    this.#child.channel?.unref();
  }

  /** It has failed: ends it, and waits until it has gone. */
  end(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  async #end(): Promise<void> {
    clearTimeout(this.#deadline);
    close(this.#channel);
    if (this.pid === 0) return;
    this.#child.kill("SIGTERM");
    const hard = setTimeout(() => {
      this.#log("warn", `the successor is still there after ${END_MS} ms, killed`);
      this.#child.kill("SIGKILL");
    }, END_MS);
    await this.gone;
    clearTimeout(hard);
  }

  #heard(type: ToPredecessor["type"]): Promise<ToPredecessor> {
    const said = new Promise<ToPredecessor>((resolve) => this.#waiting.set(type, resolve));
    return Promise.race([said, this.failed]);
  }

  #onMessage(message: ToPredecessor): void {
    if (message.type === "failed") {
      this.hasGivenUp = true;
      this.#fail(new Error("it gave up; what it said is above"));
    }
    this.#waiting.get(message.type)?.(message);
  }
}
