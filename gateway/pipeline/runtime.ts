/** What the pipelines of one worker share: made once, handed to every filter by its scope. */
import type { Fd } from "#core/brands.ts";
import type { HttpDate } from "#http/date.ts";
import type { Scratch } from "#http/scratch.ts";
import type { TlsRecords } from "#net/tls/records.ts";
import type { ServerTls } from "#net/tls/server-tls.ts";
import type { ClientTls } from "#net/tls/client-tls.ts";
import type { Connection } from "#net/connection.ts";
import type { WriteGather } from "#net/gather.ts";
import type { Flow } from "./flow.ts";
import type { RawSocket } from "./layout/context.ts";
import type { HeadPool } from "./http/head-pool.ts";

export type Loop = Connection["loop"];
export type Buffers = Connection["buffers"];

/** Datagrams of the driver. */
export type DatagramSocket = Exclude<ReturnType<Loop["driver"]["connectDatagrams"]>, number>;
export type DatagramHandler = Parameters<Loop["driver"]["connectDatagrams"]>[1];

export interface Runtime {
  readonly loop: Loop;
  /** The arena: regions of events are offsets into its `memory`. */
  readonly buffers: Buffers;
  readonly gather: WriteGather;
  /** For heads that are edited. */
  readonly scratch: Scratch;
  readonly heads: HeadPool;
  /** Of responses that are made here. */
  readonly date: HttpDate;
  readonly flow: Flow;
  readonly promises: Promises;
  /** The script has been replaced, or the worker is leaving: what is under way ends, nothing new begins on its connections. */
  readonly retired: boolean;
  /** How connections to targets are encrypted; the same for the same options. Throws PENSTOCK_TLS_*. */
  clientTls(options: ConnectTlsOptions): ClientTls;
  /** The same for TLS over a stream in place of a socket. */
  clientTlsOverStream(options: ConnectTlsOptions): ClientTls;
  /** What accepts TLS over a stream. Throws PENSTOCK_TLS_*. */
  serverTlsOverStream(options: ListenTlsOptions): { readonly server: ServerTls; readonly records: TlsRecords };
  /** Calls back once, now or when they are known: the addresses of a name. Never for a name that has none. */
  resolve(host: string, told: (addresses: readonly string[]) => void): void;
  /**
   * Has the supervisor start a command that the script names. `exited`: null, or what went wrong. Rejects with the
   * supervisor's reason.
   */
  run(command: string, exited: (failure: string | null) => void): Promise<RunningCommand>;
  /** Who waits for another message between two: told to end when the worker leaves. */
  readonly waiters: Set<Waiter>;
  /** The options of a socket, by its descriptor. */
  rawSocket(fd: number): RawSocket;
  /** What a script threw: to the log, with file and line. */
  report(error: unknown): void;
  /** A line for the operator; of what peers do, a few in a second. */
  log(line: string): void;
}

/**
 * How many filters wait for a promise of a script. The loop sleeps in the kernel, where no promise settles: while any is
 * waited for, code that may have settled one makes it look first.
 */
export class Promises {
  readonly #loop: Pick<Loop, "yieldSoon">;
  #waiting = 0;

  constructor(loop: Pick<Loop, "yieldSoon">) {
    this.#loop = loop;
  }

  begin(): void {
    this.#waiting++;
    this.#loop.yieldSoon();
  }

  end(): void {
    this.#waiting--;
  }

  /** Code of a script has run. */
  touched(): void {
    if (this.#waiting > 0) this.#loop.yieldSoon();
  }
}

export interface CertificateOptions {
  /** PEM: the certificate, and those between it and the authority. */
  readonly cert: string | Uint8Array;
  /** PEM. */
  readonly key: string | Uint8Array;
}

export interface ListenTlsOptions {
  /** The first answers for names that none has. */
  readonly certificates: readonly CertificateOptions[];
  /** What is offered, the dearest first; `["http/1.1"]`. */
  readonly alpn?: readonly string[];
  readonly minVersion?: "1.2" | "1.3";
}

export interface ConnectTlsOptions {
  /** PEM: the authorities that are believed; the machine's where it is left out. */
  readonly ca?: string | Uint8Array;
  /** Believe whoever answers. */
  readonly insecure?: boolean;
  /** Asked for and verified in place of the target's own name. */
  readonly serverName?: string;
  /** PEM: who we are, where the target asks. */
  readonly certificate?: CertificateOptions;
  readonly alpn?: readonly string[];
  readonly minVersion?: "1.2" | "1.3";
}

export interface Waiter {
  /** End now when nothing is under way. */
  drain(): void;
}

export interface RunningCommand {
  /** A connected socket, its standard input and output; the caller's. */
  readonly fd: Fd;
  /** Ends it now, if it still runs. */
  end(): void;
}

/** Bytes of one buffer of the arena. */
export function bufferBytes({ memory, count }: Buffers): number {
  return memory.length / count;
}
