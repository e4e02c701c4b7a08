/** What the pipelines of one program share in this worker. */
import type { HttpDate } from "#http/date.ts";
import { Flow } from "#pipeline/flow.ts";
import { HeadPool } from "#pipeline/http/head-pool.ts";
import type { RawSocket } from "#pipeline/layout/context.ts";
import {
  Promises,
  type Buffers,
  type ConnectTlsOptions,
  type ListenTlsOptions,
  type Loop,
  type RunningCommand,
  type Runtime,
  type Waiter,
} from "#pipeline/runtime.ts";
import type { InboundStream } from "#pipeline/sockets/inbound-stream.ts";
import type { WorkerContext } from "#proxy/context.ts";
import type { Scratch } from "#http/scratch.ts";
import { asFd } from "#core/brands.ts";
import { getsockoptBytes, setsockoptBytes } from "#sys/socket.ts";
import { STREAM_TRANSPORT } from "#net/stream-transport.ts";
import { TlsRecords } from "#net/tls/records.ts";
import type { ServerTls } from "#net/tls/server-tls.ts";
import type { ClientTls } from "#net/tls/client-tls.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import type { Commands } from "./commands.ts";
import { Destinations } from "./destinations.ts";
import { ScriptTls } from "./script-tls.ts";
import { scriptPlace } from "./script-place.ts";

/** Past it the name asked for first is not followed any more. */
const NAMES_MAX = 1024;

/** Shared by all programs of a worker. */
export interface ScriptShared {
  readonly flow: Flow;
  readonly heads: HeadPool;
  readonly promises: Promises;
  /** Of TLS over streams: made when the first script wants some. */
  streamRecords(): TlsRecords;
  readonly commands: Pick<Commands, "run">;
}

const NO_COMMANDS: Pick<Commands, "run"> = {
  run: () => Promise.reject(pipelineError("PENSTOCK_PIPELINE_OUTSIDE", { detail: "exec" })),
};

export function scriptShared({ loop, scratch }: WorkerContext, commands = NO_COMMANDS): ScriptShared {
  let records: TlsRecords | null = null;
  return {
    flow: new Flow(),
    heads: new HeadPool(scratch),
    promises: new Promises(loop),
    commands,
    streamRecords: () => (records ??= new TlsRecords(loop, STREAM_TRANSPORT)),
  };
}

export class ScriptRuntime implements Runtime {
  readonly loop: Loop;
  readonly buffers: Buffers;
  readonly gather: WorkerContext["gather"];
  readonly scratch: Scratch;
  readonly heads: HeadPool;
  readonly date: HttpDate;
  readonly flow: Flow;
  readonly promises: Promises;
  retired = false;
  readonly waiters = new Set<Waiter>();
  /** Connections of all its listens. */
  readonly streams = new Set<InboundStream>();
  readonly tls: ScriptTls;
  /** Of transparent listens; known once they are bound. */
  destinations = new Destinations(null, new Set());
  #streamTls: ScriptTls | null = null;
  readonly #shared: ScriptShared;
  readonly #systemCa: Uint8Array | null;
  readonly #resolver: WorkerContext["endpoints"]["resolver"];
  /** What ends the watch over each name. */
  readonly #watched: (() => void)[] = [];
  readonly #log: (line: string) => void;
  readonly #atRest: (() => void)[] = [];

  constructor(worker: WorkerContext, shared: ScriptShared, systemCa: Uint8Array | null = null) {
    this.#shared = shared;
    this.#systemCa = systemCa;
    this.loop = worker.loop;
    this.buffers = worker.buffers;
    this.gather = worker.gather;
    this.scratch = worker.scratch;
    this.heads = shared.heads;
    this.date = worker.date;
    this.flow = shared.flow;
    this.promises = shared.promises;
    this.tls = new ScriptTls(worker.tls, systemCa, (line) => worker.log(`script: ${line}`));
    this.#resolver = worker.endpoints.resolver;
    this.#log = (line) => worker.log(line);
  }

  /** What is under way ends. `now`: what waits for another request ends too. */
  retire(now: boolean): void {
    this.retired = true;
    if (now) for (const one of this.waiters) one.drain();
  }

  /** A connection is closed. False: it was before. */
  left(stream: InboundStream): boolean {
    const wasOpen = this.streams.delete(stream);
    if (this.streams.size === 0) for (const act of this.#atRest.splice(0)) act();
    return wasOpen;
  }

  /** Runs `act` once no connection is open, maybe now. */
  onceAtRest(act: () => void): void {
    if (this.streams.size === 0) act();
    else this.#atRest.push(act);
  }

  clientTls(options: ConnectTlsOptions): ClientTls {
    return this.tls.client(options);
  }

  clientTlsOverStream(options: ConnectTlsOptions): ClientTls {
    return this.#overStreams.client(options);
  }

  serverTlsOverStream(options: ListenTlsOptions): { readonly server: ServerTls; readonly records: TlsRecords } {
    return { server: this.#overStreams.streamServer(options), records: this.#shared.streamRecords() };
  }

  get #overStreams(): ScriptTls {
    this.#streamTls ??= new ScriptTls(this.#shared.streamRecords(), this.#systemCa, (line) =>
      this.#log(`script: ${line}`),
    );
    return this.#streamTls;
  }

  /** Names that were asked for once are kept up to date: the next answer is there at once. */
  resolve(host: string, told: (addresses: readonly string[]) => void): void {
    const known = this.#resolver.addressesOf(host);
    if (known.length > 0) {
      told(known);
      return;
    }
    let waiting = true;
    const stop = this.#resolver.watch(host, (addresses) => {
      if (waiting && addresses.length > 0) told(addresses);
      waiting &&= addresses.length === 0;
    });
    this.#watched.push(stop);
    if (this.#watched.length > NAMES_MAX) this.#watched.shift()?.();
    const now = this.#resolver.addressesOf(host);
    if (now.length === 0 || !waiting) return;
    waiting = false;
    told(now);
  }

  run(command: string, exited: (failure: string | null) => void): Promise<RunningCommand> {
    return this.#shared.commands.run(command, exited);
  }

  rawSocket(fd: number): RawSocket {
    return {
      getOption: (level, option, length) => getsockoptBytes(asFd(fd), level, option, length),
      setOption: (level, option, value) => setsockoptBytes(asFd(fd), level, option, value),
    };
  }

  report(error: unknown): void {
    this.#log(`script ${scriptPlace(error)}`);
  }

  log(line: string): void {
    this.#log(`script: ${line}`);
  }
}
