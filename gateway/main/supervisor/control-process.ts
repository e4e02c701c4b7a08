/**
 * The control process: started, watched, started again; its requests handed to whoever serves them. It is trusted less
 * than this process: what it sends is looked at before it is used, and traffic does not need it.
 */
import type { ChildProcess } from "node:child_process";
import type {
  ControlToSupervisor,
  DeclaredReply,
  DeclareRequest,
  HealthMessage,
  SupervisorToControl,
} from "#control/protocol.ts";
import { Child } from "./child.ts";
import type { LogSink } from "./log.ts";
import { Replies, requestId } from "./replies.ts";

export type ControlRequest = Exclude<ControlToSupervisor, { type: "ready" } | HealthMessage | DeclaredReply>;
export type ControlReply = Exclude<SupervisorToControl, DeclareRequest | { type: "shutdown" }>;

export interface ControlHandler {
  spawn(): ChildProcess;
  /** The admin API answers. `revision` is the store's; 0: nothing is declared yet. */
  onReady(revision: number): void;
  /** A health check of a service found something out. */
  onHealth(verdict: HealthMessage): void;
  /** Rejects only for a bug of ours. */
  serve(request: ControlRequest): Promise<ControlReply>;
}

/** A declaration's modules are built, one by one, before it is answered: so long may control be without a word in between. */
const DECLARE_MS = 120_000;

export class ControlProcess {
  readonly child: Child;
  readonly #handler: ControlHandler;
  readonly #log: LogSink;
  readonly #replies = new Replies<DeclaredReply>();
  ready = false;

  constructor(handler: ControlHandler, log: LogSink) {
    this.#handler = handler;
    this.#log = log;
    this.child = new Child(
      "control",
      {
        start: () => handler.spawn(),
        onMessage: (message) => this.#onMessage(message as ControlToSupervisor),
        onDeath: (reason, restartMs) => this.#onDeath(reason, restartMs),
      },
      log,
    );
  }

  #onDeath(reason: string, restartMs: number | null): void {
    this.ready = false;
    this.#replies.failAll(new Error(`control ${reason}`));
    if (restartMs === null) return;
    this.#log("error", `control ${reason}, started again${restartMs === 0 ? "" : ` in ${restartMs} ms`}`);
  }

  #onMessage(message: ControlToSupervisor): void {
    if (message.type === "ready") {
      this.ready = true;
      this.#handler.onReady(message.revision);
    } else if (message.type === "health") {
      this.#handler.onHealth(message);
    } else if (message.type === "declared") {
      this.#replies.settle(message.id, message);
    } else {
      this.#replies.renew();
      void this.#serve(message);
    }
  }

  async #serve(request: ControlRequest): Promise<void> {
    try {
      this.child.send(await this.#handler.serve(request));
    } catch (error) {
      this.#log(
        "error",
        `control's ${request.type} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }

  /** Declares what `run -f` or the embedded default says. Rejects when control is not there, dies or is silent. */
  async declare(declaration: Omit<DeclareRequest, "type" | "id">): Promise<DeclaredReply> {
    const id = requestId();
    const reply = this.#replies.wait(id, DECLARE_MS, "control, declare");
    if (!this.child.send({ type: "declare", id, ...declaration } satisfies DeclareRequest)) {
      this.#replies.fail(id, new Error("control is not running"));
    }
    return reply;
  }

  async stop(deadlineMs: number): Promise<void> {
    await this.child.stop(() => {
      if (!this.child.send({ type: "shutdown" } satisfies SupervisorToControl)) this.child.kill();
    }, deadlineMs);
  }
}
