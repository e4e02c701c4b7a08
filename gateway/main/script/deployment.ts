/**
 * The script in force, and how it changes: all workers load the new one and are given its sockets, and only if all could is it
 * put into force. Whatever refuses, the one before goes on, and the answer says who and why. Snapshots and scripts change one
 * at a time, in the order they come.
 */
import { scriptError } from "#core/errors/script.ts";
import type { ListenerStatus } from "#control/gateway-status.ts";
import { Listeners } from "#main/supervisor/listeners.ts";
import { machineAuthorities } from "#main/supervisor/tls-material.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { ScriptAsking, WorkerProcess } from "#main/supervisor/worker-process.ts";
import type { Workers } from "#main/supervisor/workers.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import { ScriptKernel } from "./kernel.ts";
import { ScriptSteering } from "./steering.ts";
import type { ScriptBundle, ScriptListen } from "#worker/script/protocol.ts";

const INTRODUCTION_MS = 5_000;

interface InForce {
  readonly bundle: ScriptBundle;
  readonly specs: readonly ListenerSpec[];
}

export class ScriptDeployment {
  readonly #workers: Workers;
  readonly #listeners: Listeners;
  readonly #log: LogSink;
  readonly #kernel: ScriptKernel;
  readonly #steering: ScriptSteering;
  #current: InForce | null = null;

  /** `listeners`: of the script alone. */
  constructor(workers: Workers, listeners: Listeners, log: LogSink) {
    this.#workers = workers;
    this.#listeners = listeners;
    this.#log = log;
    this.#kernel = new ScriptKernel(log);
    this.#steering = new ScriptSteering(workers, log);
  }

  /** What a running script asks for. */
  serve(worker: WorkerProcess, asking: ScriptAsking): void {
    if (asking.type === "script-wish") {
      this.#log("info", `the script asks for ${asking.wish}`);
      // The signals' own ways, with all that belongs to them.
      process.kill(process.pid, asking.wish === "reload" ? "SIGHUP" : "SIGTERM");
      return;
    }
    try {
      const value = this.#kernel.serve(asking.request);
      worker.tellScript({ type: "script-kernel-reply", ok: true, value }, asking.id);
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      worker.tellScript({ type: "script-kernel-reply", ok: false, error: words }, asking.id);
    }
  }

  /** False: it is in force already. Rejects with who refused it, and why: then nothing has changed. */
  async apply(bundle: ScriptBundle): Promise<boolean> {
    await this.#workers.introduced(INTRODUCTION_MS);
    return this.#workers.exclusively(async () => {
      if (this.#current?.bundle.digest === bundle.digest) return false;
      await this.#change(bundle);
      return true;
    });
  }

  async #change(bundle: ScriptBundle): Promise<void> {
    const members = this.#workers.all.filter((worker) => worker.introduced);
    this.#kernel.begin(bundle);
    try {
      const listens = await agreed(members, bundle);
      const specs = listens.map(specOf);
      const closed = this.#listeners.prepare(specs);
      if (closed !== null) throw new Error(closed.error);
      this.#steering.prepare(listens, specs, this.#listeners);
      await each(members, (worker) => this.#bind(worker, specs));
      this.#kernel.prepare();
      this.#steering.commit();
      this.#current = { bundle, specs };
    } catch (error) {
      this.#steering.abort();
      this.#kernel.abort();
      this.#listeners.abort();
      for (const worker of members) worker.tellScript({ type: "script-abort" });
      throw error;
    }
    await Promise.all(members.map((worker) => this.#commit(worker)));
    this.#listeners.commit();
    this.#kernel.commit();
    this.#log("info", "the script is in force", { workers: members.length });
  }

  #bind(worker: WorkerProcess, specs: readonly ListenerSpec[]): Promise<unknown> {
    const { grants, descriptors } = this.#listeners.grants(specs, worker.slot);
    const { originals } = this.#steering;
    return worker.askScript(
      {
        type: "script-bind",
        grants: grants.map(({ index, address, fdTag }) => ({ index, address, fdTag })),
        originalsFdTag: originals?.tag ?? null,
      },
      originals === null ? descriptors : [...descriptors, originals],
    );
  }

  /** One that fails now is ended: its successor begins with what is in force. */
  async #commit(worker: WorkerProcess): Promise<void> {
    try {
      await worker.askScript({ type: "script-commit" });
    } catch (error) {
      this.#log("error", `worker ${worker.slot} can't run the script: ${(error as Error).message}`);
      worker.child.kill();
    }
  }

  /** A worker that has just begun takes up what is in force. Within `exclusively`. */
  async boot(worker: WorkerProcess): Promise<void> {
    if (this.#current === null) return;
    const { bundle, specs } = this.#current;
    await worker.askScript({ type: "script-load", bundle, systemCa: machineAuthorities() });
    await this.#bind(worker, specs);
    await worker.askScript({ type: "script-commit" });
  }

  listenerStatus(): ListenerStatus[] {
    return this.#current === null ? [] : this.#listeners.addresses(this.#current.specs);
  }

  close(): void {
    this.#steering.close();
    this.#kernel.close();
    this.#listeners.close();
  }
}

/** All load it; answers where they want to listen. */
async function agreed(members: readonly WorkerProcess[], bundle: ScriptBundle): Promise<readonly ScriptListen[]> {
  const all = await each(members, (worker) =>
    worker.askScript({ type: "script-load", bundle, systemCa: machineAuthorities() }),
  );
  const listens = all.map((reply) => (reply.type === "script-loaded" ? reply.listens : []));
  const [first = []] = listens;
  if (listens.some((one) => JSON.stringify(one) !== JSON.stringify(first)))
    throw scriptError("PENSTOCK_SCRIPT_DIFFERS");
  return first;
}

/** Waits for all, then rejects with the first reason: none of them is left half way. */
async function each<T>(members: readonly WorkerProcess[], act: (worker: WorkerProcess) => Promise<T>): Promise<T[]> {
  const settled = await Promise.allSettled(members.map(act));
  return settled.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}

function specOf({ address, protocol, transparent }: ScriptListen): ListenerSpec {
  return { name: `script ${address}`, address, protocol, transparent };
}
