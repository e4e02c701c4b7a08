/**
 * The workers together. A change of snapshot goes to all that run, in two phases; a worker that starts later, or again,
 * takes up what is in force then. Changes and starts never overlap: one queue orders them.
 */
import type { ChildProcess } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import type { Fd } from "#core/brands.ts";
import type { LinesReply, PluginAnswer, TapReply, TellRequest } from "#control/protocol.ts";
import type { Purge } from "#control/purge.ts";
import type { EndpointOutage, MapChangeMessage, ToWorker } from "#worker/protocol.ts";
import type { LogSink } from "./log.ts";
import { NoAnswerError } from "./replies.ts";
import { WorkerProcess } from "./worker-process.ts";
import type { Provision, ScriptAsking } from "./worker-process.ts";

const INTRODUCTION_POLL_MS = 10;

export interface Verdict {
  readonly worker: number;
  readonly ok: boolean;
  readonly error?: string;
}

export interface WorkersOptions {
  readonly count: number;
  /** How long a worker may take to prepare. */
  readonly prepareMs: number;
  readonly spawn: (slot: number, channel: Fd) => ChildProcess;
  readonly onScript: (from: WorkerProcess, asking: ScriptAsking) => void;
  readonly onMapChange: (from: WorkerProcess, change: MapChangeMessage) => void;
  /** The process is gone, whatever it was in the middle of. */
  readonly onDeath: (pid: number, slot: number) => void;
  /** What a worker needs for the snapshot in force; null before the first. */
  readonly current: (slot: number) => { readonly revision: number; readonly provision: Provision } | null;
  /** The script in force, if there is one, for a worker that has the snapshot in force. */
  readonly bootScript: (worker: WorkerProcess) => Promise<void>;
  /** What the workers of the gateway before this one knew of endpoints that are out, by slot. */
  readonly outages: readonly (readonly EndpointOutage[])[];
  readonly log: LogSink;
}

/** What all are told alike, and nobody answers. */
export type Broadcast = MapChangeMessage | Extract<ToWorker, { type: "ticket-keys" }>;

export class Workers {
  readonly all: readonly WorkerProcess[];
  readonly #options: WorkersOptions;
  /** As inherited, until a snapshot is in force: from then on the workers themselves know better. */
  #outages: WorkersOptions["outages"];
  #queue: Promise<unknown> = Promise.resolve();
  #waitingForReady: (() => void)[] = [];

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#outages = options.outages;
    const handler = {
      spawn: options.spawn,
      onHello: (worker: WorkerProcess) => {
        void this.exclusively(() => this.#boot(worker));
      },
      onMapChange: options.onMapChange,
      onScript: options.onScript,
      onDeath: options.onDeath,
      outagesFor: (worker: WorkerProcess) => this.#outagesFor(worker),
    };
    this.all = Array.from(
      { length: options.count },
      (_, slot) => new WorkerProcess(slot, handler, options.prepareMs, options.log),
    );
  }

  start(): void {
    for (const worker of this.all) worker.child.start();
  }

  /** Runs `act` when nothing else changes what workers run. */
  exclusively<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(act);
    this.#queue = turn.then(
      () => undefined,
      () => undefined,
    );
    return turn;
  }

  /** Resolves once every worker serves the snapshot in force. */
  async ready(): Promise<void> {
    while (this.all.some((worker) => worker.state !== "ready")) {
      await new Promise<void>((resolve) => this.#waitingForReady.push(resolve));
    }
  }

  /** Resolves once no worker is on its way to its first words, or after `mostMs`. */
  async introduced(mostMs: number): Promise<void> {
    const until = Date.now() + mostMs;
    while (this.all.some((worker) => worker.state === "starting" && !worker.introduced) && Date.now() < until) {
      await setTimeout(INTRODUCTION_POLL_MS);
    }
  }

  /** Of every worker that serves, by slot, for a successor of this gateway. */
  outages(): Promise<readonly EndpointOutage[]>[] {
    return this.all.map((worker) =>
      worker.state === "ready" ? worker.outages().catch(() => []) : Promise.resolve([]),
    );
  }

  /** What a sibling knows; before there are any, what the worker of this place knew in the gateway before. */
  async #outagesFor(worker: WorkerProcess): Promise<readonly EndpointOutage[]> {
    const sibling = this.all.find((one) => one !== worker && one.state === "ready");
    if (sibling !== undefined) return sibling.outages().catch(() => []);
    return this.#outages[worker.slot % Math.max(1, this.#outages.length)] ?? [];
  }

  /** A new life takes up what is in force. One that can't is of no use: it is ended, and its successor tries again. */
  async #boot(worker: WorkerProcess): Promise<void> {
    const current = this.#options.current(worker.slot);
    // Before the first snapshot it waits, as a member of that change.
    if (current === null || !worker.introduced) return;
    try {
      await worker.prepare(current.provision);
      await worker.commit();
      await this.#options.bootScript(worker);
      this.#inForce(worker, current.revision);
    } catch (error) {
      this.#options.log("error", `worker ${worker.slot} can't take up revision ${current.revision}: ${words(error)}`);
      worker.child.kill();
    }
  }

  #inForce(worker: WorkerProcess, revision: number): void {
    this.#outages = [];
    worker.revision = revision;
    worker.state = "ready";
    for (const resolve of this.#waitingForReady.splice(0)) resolve();
  }

  /** Phase one, on every worker that can be told things. Call it, and what follows, inside `exclusively`. */
  async prepare(provision: (slot: number) => Provision): Promise<Verdict[]> {
    const members = this.all.filter((worker) => worker.introduced);
    return Promise.all(members.map((worker) => verdict(worker, () => worker.prepare(provision(worker.slot)))));
  }

  /** Phase two. A worker that fails now is ended: its successor boots from what is then in force. */
  async commit(revision: number, members: readonly Verdict[]): Promise<Verdict[]> {
    return Promise.all(
      this.#of(members).map((worker) =>
        verdict(worker, async () => {
          try {
            await worker.commit();
          } catch (error) {
            worker.child.kill();
            throw error;
          }
          this.#inForce(worker, revision);
        }),
      ),
    );
  }

  abort(members: readonly Verdict[]): void {
    for (const worker of this.#of(members)) worker.abort();
  }

  #of(members: readonly Verdict[]): WorkerProcess[] {
    return this.all.filter((worker) => members.some((member) => member.worker === worker.slot));
  }

  /** Everyone but `except`, who knows already. */
  broadcast(change: Broadcast, except: WorkerProcess | null = null): void {
    for (const worker of this.all) if (worker !== except) worker.broadcast(change);
  }

  /** What a tenant's plugins have said, by worker; `after`: the number of the last line that is known, by slot. */
  lines(tenant: string, after: Readonly<Record<number, number>>): Promise<LinesReply["workers"]> {
    const asked = this.all.filter((worker) => worker.introduced);
    return Promise.all(
      asked.map(async (worker) => ({
        worker: worker.slot,
        // One that doesn't answer is left out this time.
        lines: await worker.lines(tenant, after[worker.slot] ?? 0).catch(() => []),
      })),
    );
  }

  /** Live exchanges, by worker. */
  tap(route: string, after: Readonly<Record<number, number>>): Promise<TapReply["workers"]> {
    const asked = this.all.filter((worker) => worker.introduced);
    return Promise.all(
      asked.map(async (worker) => ({
        worker: worker.slot,
        exchanges: await worker.tap(route, after[worker.slot] ?? 0).catch(() => []),
      })),
    );
  }

  /** What every guest of a tenant's plugin answers to a message; a worker that doesn't answer is left out. */
  async tell(message: Omit<TellRequest, "type" | "id">): Promise<readonly PluginAnswer[]> {
    const running = this.all.filter((worker) => worker.state === "ready");
    const answers = await Promise.all(running.map((worker) => worker.tell(message).catch(() => [])));
    return answers.flat();
  }

  /** Of all that run; one that does not answer is as good as gone, and its cache with it. */
  async purge(what: Purge): Promise<number> {
    const running = this.all.filter((worker) => worker.state === "ready");
    const counts = await Promise.all(running.map((worker) => worker.purge(what).catch(() => 0)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async drain(deadlineMs: number, gently = false): Promise<void> {
    await Promise.all(this.all.map((worker) => worker.drain(deadlineMs, gently)));
  }

  kill(): void {
    for (const worker of this.all) worker.child.kill();
  }
}

async function verdict(worker: WorkerProcess, act: () => Promise<void>): Promise<Verdict> {
  try {
    await act();
    return { worker: worker.slot, ok: true };
  } catch (error) {
    // Silent workers do not come back by themselves; their connections are lost already.
    if (error instanceof NoAnswerError) worker.child.kill();
    return { worker: worker.slot, ok: false, error: words(error) };
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
