/** What the driver contract needs of a network: a driver, and other ends that tests control byte by byte. */
import { setImmediate as nextTick } from "node:timers/promises";
import { expect } from "vitest";
import type { Fd } from "#core/brands.ts";
import type { Driver } from "#io/driver.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";

export type Kind = "tcp" | "unix";

/** The other end of one of the driver's sockets. */
export interface Remote {
  write(bytes: Uint8Array): void;
  /** FIN after all that was written. */
  end(): void;
  /** RST. */
  reset(): void;
  /** Reads no more. */
  pause(): void;
  resume(): void;
  /** All that has come, in order. */
  readonly received: Received;
  /** The driver's side has sent FIN. */
  readonly ended: boolean;
  /** The connection broke. */
  readonly broken: boolean;
}

export interface Place {
  readonly fd: Fd;
  readonly address: Uint8Array;
}

/** A service that the driver connects to. */
export interface Service {
  readonly address: Uint8Array;
  readonly remotes: readonly Remote[];
}

export interface Signal {
  readonly fd: Fd;
  raise(): void;
  lower(): void;
}

export interface Network {
  readonly driver: Driver;
  /** A fresh listening descriptor. */
  listen(kind: Kind): Place;
  dial(place: Place): Remote;
  serve(kind: Kind): Promise<Service>;
  /** Where nobody listens. */
  nowhere(kind: Kind): Uint8Array;
  /** A descriptor to watch. */
  signal(): Signal;
  /** Milliseconds on the clock that the driver's waits are measured by. */
  nowMs(): number;
  /** Lets the other ends do what they have to, outside the driver. */
  breathe(): Promise<void>;
  /** Descriptors this process has open; 0 where they aren't real. */
  descriptors(): number;
  /** Closes the other ends and the listeners; the driver's sockets are the test's. */
  close(): Promise<void>;
}

/** Bytes in order, whose value tells their position: a pattern with a period that divides no buffer or segment size. */
export function pattern(from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (from + i) % 251;
  return bytes;
}

/** Counts bytes and checks each against the pattern, so that megabytes need not be kept. */
export class Received {
  count = 0;
  /** Position of the first byte that was wrong; −1 for none. */
  wrongAt = -1;

  add(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length && this.wrongAt < 0; i++) {
      if (bytes[i] !== (this.count + i) % 251) this.wrongAt = this.count + i;
    }
    this.count += bytes.length;
  }
}

/** A test's driver, watched over: callbacks only within turns, nothing after close. */
export class Bench {
  readonly network: Network;
  readonly driver: Driver;
  readonly recorders: Recorder[] = [];
  inTurn = false;
  /** Broken rules; every case ends by expecting none. */
  readonly violations: string[] = [];

  constructor(network: Network) {
    this.network = network;
    this.driver = network.driver;
  }

  turn(waitMs: number): number {
    this.inTurn = true;
    try {
      return this.driver.turn(waitMs);
    } finally {
      this.inTurn = false;
    }
  }

  /** Turns and lets the others run until `condition`; fails, naming what was awaited, after ten seconds. */
  async until(what: string, condition: () => boolean): Promise<void> {
    const limit = performance.now() + 10_000;
    while (!condition()) {
      if (performance.now() > limit) expect.fail(`never happened: ${what}`);
      if (this.turn(0) === 0) this.turn(1);
      await this.network.breathe();
    }
  }

  /** Long enough for anything that is going to happen. */
  async settle(turns = 20): Promise<void> {
    for (let i = 0; i < turns; i++) {
      this.turn(1);
      await this.network.breathe();
      await nextTick();
    }
  }

  recorder(hooks: Partial<Hooks> = {}): Recorder {
    const recorder = new Recorder(this, hooks);
    this.recorders.push(recorder);
    return recorder;
  }

  /** A connected pair: accepted by the driver, dialled by a remote. */
  async accepted(kind: Kind = "tcp", hooks: Partial<Hooks> = {}): Promise<Pair> {
    const place = this.network.listen(kind);
    const recorder = this.recorder(hooks);
    let accepted: Socket | null = null;
    const listening = this.driver.accept(place.fd, {
      onAccept: (socket) => {
        socket.handler = recorder;
        recorder.socket = socket;
        accepted = socket;
      },
      onAcceptError: (error) => this.violations.push(`accept failed: ${error}`),
    });
    const remote = this.network.dial(place);
    await this.until("accept", () => accepted !== null);
    this.driver.stopAccept(listening);
    return { recorder, socket: recorder.open, remote };
  }

  /** A connected pair: connected by the driver, accepted by a remote. */
  async connected(kind: Kind = "tcp", hooks: Partial<Hooks> = {}): Promise<Pair> {
    const service = await this.network.serve(kind);
    const recorder = this.recorder(hooks);
    recorder.socket = this.driver.connect(service.address, recorder);
    await this.until("connect", () => recorder.log.length > 0 && service.remotes.length > 0);
    expect(recorder.log).toEqual(["connect 0"]);
    recorder.log.length = 0;
    return { recorder, socket: recorder.open, remote: service.remotes[0] as Remote };
  }

  /** Queues the pattern's bytes from `from`, in regions of one buffer each. */
  sendPattern(socket: Socket, from: number, length: number): void {
    const { buffers } = this.driver;
    const buffer = buffers.allocate();
    if (buffer < 0) expect.fail("the test's own buffers are used up");
    const start = buffer * (buffers.memory.length / buffers.count);
    buffers.memory.set(pattern(from, length), start);
    this.driver.send(socket, buffer, start, start + length);
    buffers.release(buffer);
  }
}

export interface Pair {
  readonly recorder: Recorder;
  readonly socket: Socket;
  readonly remote: Remote;
}

export interface Hooks {
  onConnect(recorder: Recorder, error: number): void;
  onReceive(recorder: Recorder, buffer: number, start: number, end: number): void;
  onEnd(recorder: Recorder): void;
  onSent(recorder: Recorder): void;
  onError(recorder: Recorder, error: number): void;
}

/** Notes what one socket is told. Bytes go to `received`, everything else to `log`. */
export class Recorder implements SocketHandler {
  readonly log: string[] = [];
  readonly received = new Received();
  socket: Socket | null = null;
  closed = false;
  readonly #bench: Bench;
  readonly #hooks: Partial<Hooks>;

  constructor(bench: Bench, hooks: Partial<Hooks>) {
    this.#bench = bench;
    this.#hooks = hooks;
  }

  get open(): Socket {
    if (this.socket === null || this.closed) return expect.fail("the socket is not open");
    return this.socket;
  }

  close(): void {
    if (this.closed) return;
    const socket = this.open;
    this.closed = true;
    this.#bench.driver.close(socket);
  }

  onConnect(socket: Socket, error: number): void {
    this.#called(socket, "connect");
    this.log.push(`connect ${error}`);
    this.#hooks.onConnect?.(this, error);
  }

  onReceive(socket: Socket, buffer: number, start: number, end: number): void {
    this.#called(socket, "receive");
    if (end <= start) this.#bench.violations.push("received no bytes");
    this.received.add(this.#bench.driver.buffers.memory.subarray(start, end));
    this.#hooks.onReceive?.(this, buffer, start, end);
  }

  onEnd(socket: Socket): void {
    this.#called(socket, "end");
    this.log.push("end");
    this.#hooks.onEnd?.(this);
  }

  onSent(socket: Socket): void {
    this.#called(socket, "sent");
    if (this.#bench.driver.queuedBytes(socket) !== 0) this.#bench.violations.push("sent, with bytes in the queue");
    this.log.push("sent");
    this.#hooks.onSent?.(this);
  }

  onError(socket: Socket, error: number): void {
    this.#called(socket, "error");
    this.log.push(`error ${error}`);
    this.#hooks.onError?.(this, error);
  }

  #called(socket: Socket, what: string): void {
    if (!this.#bench.inTurn) this.#bench.violations.push(`${what} outside a turn`);
    if (this.closed) this.#bench.violations.push(`${what} after close`);
    if (this.socket !== null && this.socket !== socket) this.#bench.violations.push(`${what} of another socket`);
  }
}
