/**
 * The script in force, and how it changes: all workers load the new one and are given its sockets, and only if all could is it
 * put into force. Whatever refuses, the one before goes on, and the answer says who and why. Snapshots and scripts change one
 * at a time, in the order they come.
 */
import { fileURLToPath } from "node:url";
import { scriptError } from "#core/errors/script.ts";
import type { ListenerStatus } from "#control/gateway-status.ts";
import { HandedOver, type HandedDescriptors } from "#bpf/manager/handed-over.ts";
import { Listeners } from "#main/supervisor/listeners.ts";
import { machineAuthorities } from "#main/supervisor/tls-material.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { ScriptAsking, WorkerProcess } from "#main/supervisor/worker-process.ts";
import type { Workers } from "#main/supervisor/workers.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";
import { ScriptCommands } from "./commands.ts";
import { ScriptKernel } from "./kernel.ts";
import { ScriptOutputs } from "./outputs.ts";
import { ScriptSteering, type ScriptKernelStatus } from "./steering.ts";
import { ScriptWatching } from "./watching.ts";
import type { ScriptBundle, ScriptFile, ScriptListen, ScriptToSupervisor } from "#worker/script/protocol.ts";

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
  readonly #outputs: ScriptOutputs;
  readonly #commands: ScriptCommands;
  readonly #watching: ScriptWatching;
  #current: InForce | null = null;

  /** `listeners`: of the script alone. `inherited`: of the script of the gateway before this one. */
  constructor(workers: Workers, listeners: Listeners, log: LogSink, inherited: HandedDescriptors | null = null) {
    this.#workers = workers;
    this.#listeners = listeners;
    this.#log = log;
    const links = inherited === null ? null : new HandedOver({ links: inherited.links, maps: new Map() });
    this.#kernel = new ScriptKernel(log, links);
    this.#steering = new ScriptSteering(workers, log, inherited?.maps);
    this.#outputs = new ScriptOutputs(log);
    this.#commands = new ScriptCommands(log);
    this.#watching = new ScriptWatching(log, (file) => void workers.exclusively(async () => this.#fileChanged(file)));
  }

  /** What a running script asks for. */
  serve(worker: WorkerProcess, asking: ScriptAsking): void {
    if (asking.type === "script-wish") {
      this.#log("info", `the script asks for ${asking.wish}`);
      // The signals' own ways, with all that belongs to them.
      process.kill(process.pid, asking.wish === "reload" ? "SIGHUP" : "SIGTERM");
      return;
    }
    const { request } = asking;
    try {
      const value =
        request.op === "exec" || request.op === "end"
          ? this.#commands.serve(worker, request)
          : this.#kernel.serve(request);
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
      const { listens, outputs } = await agreed(members, bundle);
      const specs = listens.map(specOf);
      const closed = this.#listeners.prepare(specs);
      if (closed !== null) throw new Error(closed.error);
      this.#outputs.prepare(bundle, outputs);
      this.#steering.prepare(listens, specs, this.#listeners);
      await each(members, (worker) => this.#bind(worker, specs));
      this.#kernel.prepare();
      this.#steering.commit();
      this.#current = { bundle, specs };
    } catch (error) {
      this.#steering.abort();
      this.#outputs.abort();
      this.#kernel.abort();
      this.#listeners.abort();
      for (const worker of members) worker.tellScript({ type: "script-abort" });
      throw error;
    }
    this.#commands.allow(bundle);
    await Promise.all(members.map((worker) => this.#commit(worker)));
    this.#listeners.commit();
    this.#outputs.commit();
    this.#kernel.commit();
    this.#watching.follow(bundle);
    this.#log("info", "the script is in force", { workers: members.length });
  }

  #bind(worker: WorkerProcess, specs: readonly ListenerSpec[]): Promise<unknown> {
    const { grants, descriptors } = this.#listeners.grants(specs, worker.slot);
    const { originals } = this.#steering;
    const outputs = Array.from(this.#outputs.opened, ([url, { tag }]) => ({ url, fdTag: tag }));
    const files = [...this.#outputs.opened.values(), ...(originals === null ? [] : [originals])];
    return worker.askScript(
      {
        type: "script-bind",
        grants: grants.map(({ index, address, fdTag }) => ({ index, address, fdTag })),
        originalsFdTag: originals?.tag ?? null,
        outputs,
      },
      [...descriptors, ...files],
    );
  }

  /** What new workers begin with, and those that run are told. Within `exclusively`. */
  #fileChanged(file: ScriptFile): void {
    const current = this.#current;
    const before = current?.bundle.files.find(({ url }) => url === file.url);
    if (current === null || before === undefined || Buffer.compare(before.bytes, file.bytes) === 0) return;
    const files = current.bundle.files.map((one) => (one === before ? file : one));
    this.#current = { ...current, bundle: { ...current.bundle, files } };
    for (const worker of this.#workers.all) if (worker.introduced) worker.tellScript({ type: "script-file", file });
    this.#log("info", "a file that the script watches has changed", { path: fileURLToPath(file.url) });
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
    this.#commands.endOf(worker.slot);
    if (this.#current === null) return;
    const { bundle, specs } = this.#current;
    await worker.askScript({ type: "script-load", bundle, systemCa: machineAuthorities() });
    await this.#bind(worker, specs);
    await worker.askScript({ type: "script-commit" });
  }

  listenerStatus(): ListenerStatus[] {
    return this.#current === null ? [] : this.#listeners.addresses(this.#current.specs);
  }

  kernelStatus(): ScriptKernelStatus {
    const { programs, ...steering } = this.#steering.status();
    return { ...steering, programs: [...this.#kernel.programs(), ...programs] };
  }

  /** What is attached, and what steers clients, for a successor. */
  handOver(): HandedDescriptors {
    return { links: this.#kernel.handOver(), maps: this.#steering.handOver() };
  }

  /** A successor has failed. */
  takeBack(): void {
    this.#kernel.takeBack();
  }

  /** Nobody new is steered here, and files are not followed any more. */
  leave(): void {
    this.#watching.close();
    this.#steering.close();
  }

  /** Sockets and kernel; streams that workers have begun may still run commands. */
  close(): void {
    this.leave();
    this.#outputs.close();
    this.#kernel.close();
    this.#listeners.close();
  }

  /** No worker runs any more. */
  endCommands(): void {
    this.#commands.close();
  }
}

type Loaded = Pick<Extract<ScriptToSupervisor, { type: "script-loaded" }>, "listens" | "outputs">;
const NOTHING: Loaded = { listens: [], outputs: [] };

/** All load it; answers where they want to listen, and which files they want to write. */
async function agreed(members: readonly WorkerProcess[], bundle: ScriptBundle): Promise<Loaded> {
  const replies = await each(members, (worker) =>
    worker.askScript({ type: "script-load", bundle, systemCa: machineAuthorities() }),
  );
  const all = replies.map((reply) =>
    reply.type === "script-loaded" ? { listens: reply.listens, outputs: reply.outputs } : NOTHING,
  );
  const [first = NOTHING] = all;
  if (all.some((one) => JSON.stringify(one) !== JSON.stringify(first))) throw scriptError("PENSTOCK_SCRIPT_DIFFERS");
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
