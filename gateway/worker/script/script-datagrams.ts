/**
 * UDP on a socket of a program: a client's address has a session, an instance of the listen's pipeline, in which each of its
 * datagrams is a message; messages that come out are sent back. Bounded: at `streamsMax` the session used longest ago goes.
 */
import { formatIp, ipOf, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import { LOCAL_BYTES, type DatagramHandler, type DatagramSocket } from "#io/datagram.ts";
import { Alarm } from "#net/alarm.ts";
import { ENDED } from "#pipeline/events/ending.ts";
import type { Inbound } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { ListenSpec } from "#pipeline/program.ts";
import { DatagramSource, DatagramWriter } from "#pipeline/sockets/datagram-writer.ts";
import type { WorkerContext } from "#proxy/context.ts";
import { getsockname } from "#sys/socket.ts";
import type { ScriptRuntime } from "./script-runtime.ts";

const SESSIONS_MAX = 20_000;
const IDLE_MS = 60_000;

export class ScriptDatagrams implements DatagramHandler {
  readonly #worker: WorkerContext;
  readonly #fd: Fd;
  /** By client, the one used longest ago first. */
  readonly #sessions = new Map<string, Session>();
  #socket: DatagramSocket | null = null;
  #runtime: ScriptRuntime;
  #spec: ListenSpec;

  constructor(worker: WorkerContext, fd: Fd, runtime: ScriptRuntime, spec: ListenSpec) {
    this.#worker = worker;
    this.#fd = fd;
    this.#runtime = runtime;
    this.#spec = spec;
  }

  start(): void {
    this.#socket = this.#worker.loop.driver.datagrams(this.#fd, this);
  }

  /** Another program has this address from now on; sessions end on theirs. */
  move(runtime: ScriptRuntime, spec: ListenSpec): void {
    this.#runtime = runtime;
    this.#spec = spec;
    for (const session of this.#sessions.values()) session.close();
  }

  /** Takes no more. */
  stop(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#socket?.close();
    this.#socket = null;
  }

  leave(close: () => void): void {
    setImmediate(close);
  }

  onDatagram(socket: DatagramSocket): void {
    const { memory, addressStart, addressBytes, localStart, start, end } = socket;
    const client = memory.slice(addressStart, addressStart + addressBytes);
    const local = memory.slice(localStart, localStart + LOCAL_BYTES);
    const { transparent, steer } = this.#spec.options;
    const to = transparent === true || steer !== undefined ? this.#runtime.destinations.ofDatagram(client) : null;
    const key = `${Buffer.concat([client, local]).toString("latin1")} ${to ?? ""}`;
    const session = this.#sessions.get(key) ?? this.#begin(key, client, local, to);
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    session.receive(memory.subarray(start, end));
  }

  onDatagramError(): void {}

  #begin(key: string, client: Uint8Array, local: Uint8Array, originalDestination: string | null): Session {
    const { streamsMax = SESSIONS_MAX, idleTimeoutMs = IDLE_MS } = this.#spec.options;
    if (this.#sessions.size >= streamsMax) this.#sessions.values().next().value?.close();
    const send = (bytes: Uint8Array): void => {
      const socket = this.#socket;
      const start = socket?.stage(bytes) ?? 0;
      socket?.sendTo(socket, start, start + bytes.length, client, local);
    };
    const ends = new ClientEnds(client, this.#fd, this.#runtime, originalDestination);
    return new Session(this.#runtime, this.#spec, ends, send, idleTimeoutMs, (one) => {
      if (this.#sessions.get(key) === one) this.#sessions.delete(key);
    });
  }
}

class ClientEnds implements Inbound {
  readonly #client: Uint8Array;
  readonly #fd: Fd;
  readonly #runtime: ScriptRuntime;
  readonly originalDestination: string | null;
  readonly serverName = null;

  constructor(client: Uint8Array, fd: Fd, runtime: ScriptRuntime, originalDestination: string | null) {
    this.originalDestination = originalDestination;
    this.#client = client;
    this.#fd = fd;
    this.#runtime = runtime;
  }

  get remoteAddress(): string {
    return formatIp(ipOf(this.#client));
  }

  get remotePort(): number {
    return portOf(this.#client);
  }

  get localAddress(): string {
    return formatIp(ipOf(getsockname(this.#fd)));
  }

  get localPort(): number {
    return portOf(getsockname(this.#fd));
  }

  get socket(): Inbound["socket"] {
    return this.#runtime.rawSocket(this.#fd);
  }
}

class Session {
  readonly #runtime: ScriptRuntime;
  readonly #instance: Instance;
  readonly #source: DatagramSource;
  readonly #alarm: Alarm;
  readonly #idleMs: number;
  readonly #over: (session: Session) => void;
  #activityMs: number;

  constructor(
    runtime: ScriptRuntime,
    spec: ListenSpec,
    inbound: Inbound,
    send: (bytes: Uint8Array) => void,
    idleMs: number,
    over: (session: Session) => void,
  ) {
    this.#runtime = runtime;
    this.#idleMs = idleMs;
    this.#over = over;
    this.#source = new DatagramSource(runtime);
    this.#activityMs = runtime.loop.nowMs;
    this.#alarm = new Alarm(runtime.loop, () => this.#look());
    const answer = (bytes: Uint8Array): void => {
      this.#activityMs = runtime.loop.nowMs;
      send(bytes);
    };
    this.#instance = new Instance(
      spec.pipeline,
      { inbound },
      runtime,
      new DatagramWriter(runtime, answer, () => this.close()),
    );
    this.#alarm.set(idleMs);
    this.#instance.start();
  }

  receive(bytes: Uint8Array): void {
    this.#activityMs = this.#runtime.loop.nowMs;
    this.#source.deliver(bytes, this.#instance.input);
  }

  close(): void {
    if (this.#instance.ended) return;
    this.#alarm.cancel();
    this.#over(this);
    this.#instance.input.streamEnd(ENDED);
    this.#instance.dispose();
  }

  #look(): void {
    const limit = this.#activityMs + this.#idleMs;
    const { nowMs } = this.#runtime.loop;
    if (nowMs < limit) this.#alarm.set(limit - nowMs);
    else this.close();
  }
}
