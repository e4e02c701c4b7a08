/**
 * Scripts in this worker: one program in force, at most one on its way. Loads what it is sent, gives it its sockets, and
 * puts it into force between two turns of the loop. Listeners that both programs have go on accepting without a gap; streams
 * of the program before end with it, HTTP connections after the response under way.
 */
import { defined } from "#core/assert.ts";
import { Listener } from "#net/listener.ts";
import type { ServerTls } from "#net/tls/server-tls.ts";
import { setGateway, type KernelRequest } from "#pipeline/host.ts";
import { loadProgram, Program, type ListenSpec } from "#pipeline/program.ts";
import type { WorkerContext } from "#proxy/context.ts";
import { IPPROTO_TCP, setsockoptInt, TCP_NODELAY } from "#sys/socket.ts";
import type { Descriptors } from "#worker/descriptors.ts";
import { Commands } from "./commands.ts";
import { Destinations } from "./destinations.ts";
import { importBundle } from "./module-loader.ts";
import type { ScriptFile, ScriptGrant, ScriptListen, ScriptToSupervisor, ScriptToWorker } from "./protocol.ts";
import { ScriptDatagrams } from "./script-datagrams.ts";
import { handlerOf } from "./script-listener.ts";
import { scriptPlace } from "./script-place.ts";
import { outliveStrayErrors } from "./stray-errors.ts";
import { ScriptRuntime, scriptShared, type ScriptShared } from "./script-runtime.ts";

interface Loaded {
  readonly id: number;
  readonly program: Program;
  readonly runtime: ScriptRuntime;
  /** By listen; null: plaintext. */
  tls: readonly (ServerTls | null)[];
  grants: readonly ScriptGrant[];
}

interface Asking {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: string) => void;
}

export interface ScriptHostParts {
  readonly worker: WorkerContext;
  readonly descriptors: Descriptors;
  /** Takes in what has come over the descriptor channel. */
  receive(): void;
  send(message: ScriptToSupervisor): void;
}

export class ScriptHost {
  readonly #parts: ScriptHostParts;
  readonly #shared: ScriptShared;
  readonly #commands: Commands;
  readonly #open = new Map<number, Listener | ScriptDatagrams>();
  #current: Loaded | null = null;
  #next: Loaded | null = null;
  /** Kernel work that the supervisor has not answered yet, by number. */
  readonly #asking = new Map<number, Asking>();
  #asked = 0;

  constructor(parts: ScriptHostParts) {
    this.#parts = parts;
    this.#commands = new Commands({ ...parts, ask: (request) => this.#kernel(request) });
    this.#shared = scriptShared(parts.worker, this.#commands);
    setGateway({
      kernel: (request) => this.#kernel(request),
      wish: (wish) => parts.send({ type: "script-wish", wish }),
    });
  }

  #kernel(request: KernelRequest): Promise<unknown> {
    const id = ++this.#asked;
    // Made here, where the script's place is known.
    const refusal = new Error();
    return new Promise((resolve, reject) => {
      this.#asking.set(id, { resolve, reject: (reason) => reject(Object.assign(refusal, { message: reason })) });
      this.#parts.send({ type: "script-kernel", id, request });
    });
  }

  #kernelReply(reply: ScriptToWorker & { type: "script-kernel-reply" }): void {
    const asking = this.#asking.get(reply.id);
    this.#asking.delete(reply.id);
    if (reply.ok) asking?.resolve(reply.value);
    else asking?.reject(reply.error);
  }

  receive(message: ScriptToWorker): void {
    switch (message.type) {
      case "script-load":
        void this.#load(message);
        break;
      case "script-bind":
        this.#bind(message);
        break;
      case "script-commit":
        this.#commit(message.id);
        break;
      case "script-abort":
        this.#abort();
        break;
      case "script-exited":
        this.#commands.exited(message.run, message.failure);
        break;
      case "script-file":
        this.#changed(message.file);
        break;
      case "script-kernel-reply":
        this.#kernelReply(message);
    }
  }

  #changed({ url, bytes }: ScriptFile): void {
    const current = this.#current;
    current?.program.changed(url, bytes, (error) => current.runtime.report(error));
  }

  /** Accepts no more; idle connections end now unless it is to be gentle. */
  drain(gently: boolean): void {
    for (const listener of this.#open.values()) listener.stop();
    if (this.#current === null) return;
    this.#current.runtime.retire(!gently);
    endProgram(this.#current);
  }

  async #load({ id, bundle, systemCa }: ScriptToWorker & { type: "script-load" }): Promise<void> {
    const { worker, send } = this.#parts;
    const log = (line: string): void => worker.log(`script: ${line}`);
    const program = new Program({ files: bundle.files, base: bundle.entry, log });
    const runtime = new ScriptRuntime(worker, this.#shared, systemCa);
    const loaded: Loaded = { id, program, runtime, tls: [], grants: [] };
    this.#next = loaded;
    outliveStrayErrors((line) => worker.log(line));
    try {
      await loadProgram(program, () => importBundle(bundle));
      loaded.tls = program.listens.map(({ options }) =>
        options.tls === undefined ? null : runtime.tls.server(options.tls),
      );
    } catch (error) {
      endProgram(loaded);
      if (this.#next === loaded) this.#next = null;
      send({ type: "script-refused", id, error: scriptPlace(error) });
      return;
    }
    send({
      type: "script-loaded",
      id,
      listens: program.listens.map(listenOf),
      outputs: [...program.outputs.keys()],
    });
  }

  #bind({ id, grants, originalsFdTag, outputs }: ScriptToWorker & { type: "script-bind" }): void {
    const { descriptors, receive, send } = this.#parts;
    receive();
    const next = this.#next;
    const tags = [...grants, ...outputs].map(({ fdTag }) => fdTag).concat(originalsFdTag ?? []);
    const missing = tags.filter((tag) => descriptors.lend(tag) === undefined);
    if (next === null || missing.length > 0) {
      send({ type: "script-refused", id, error: "a socket or file of the script did not arrive" });
      return;
    }
    next.grants = grants;
    const map = originalsFdTag === null ? undefined : descriptors.lend(originalsFdTag);
    next.runtime.destinations = new Destinations(map ?? null, new Set(grants.map(({ address }) => address)));
    for (const { url, fdTag } of outputs) {
      const fd = descriptors.take(fdTag);
      if (fd !== undefined) next.program.outputs.get(url)?.open(fd);
    }
    send({ type: "script-bound", id });
  }

  #commit(id: number): void {
    const next = this.#next;
    if (next === null) return;
    const before = this.#current;
    this.#next = null;
    this.#current = next;
    const wanted = new Set(next.grants.map(({ fdTag }) => fdTag));
    for (const [tag, listener] of this.#open) if (!wanted.has(tag)) this.#close(tag, listener);
    for (const grant of next.grants) this.#serve(grant, next);
    if (before !== null) {
      before.runtime.retire(false);
      endProgram(before);
    }
    this.#parts.send({ type: "script-committed", id });
  }

  #serve({ index, fdTag }: ScriptGrant, { program, runtime, tls }: Loaded): void {
    const { worker, descriptors } = this.#parts;
    const spec = defined(program.listens[index], "listen of a script");
    const open = this.#open.get(fdTag);
    if (open instanceof ScriptDatagrams) {
      open.move(runtime, spec);
      return;
    }
    const fd = defined(descriptors.lend(fdTag), "socket of a script");
    if (spec.options.protocol === "udp") {
      this.#begin(fdTag, new ScriptDatagrams(worker, fd, runtime, spec));
      return;
    }
    const handler = handlerOf(worker, runtime, spec, tls[index] ?? null);
    if (open !== undefined) {
      open.handler = handler;
      return;
    }
    if (!spec.address.startsWith("unix:")) setsockoptInt(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    this.#begin(fdTag, new Listener(`script ${spec.address}`, fd, worker.loop, worker.gather, handler));
  }

  #begin(tag: number, listener: Listener | ScriptDatagrams): void {
    this.#open.set(tag, listener);
    listener.start();
  }

  #close(tag: number, listener: Listener | ScriptDatagrams): void {
    this.#open.delete(tag);
    listener.stop();
    listener.leave(() => this.#parts.descriptors.giveUp(tag));
  }

  #abort(): void {
    const next = this.#next;
    this.#next = null;
    if (next === null) return;
    endProgram(next);
    for (const { fdTag } of next.grants) if (!this.#open.has(fdTag)) this.#parts.descriptors.giveUp(fdTag);
  }
}

const LEASE_MS = 3000;

function listenOf({ address, options }: ListenSpec): ScriptListen {
  const { protocol = "tcp", steer } = options;
  const transparent = options.transparent === true || steer !== undefined;
  return { address, protocol, transparent, steer: steer === undefined ? null : { leaseMs: LEASE_MS, ...steer } };
}

function endProgram({ program, runtime }: Loaded): void {
  program.end((error) => runtime.report(error));
  runtime.tls.free();
  runtime.onceAtRest(() => program.closeOutputs());
}
