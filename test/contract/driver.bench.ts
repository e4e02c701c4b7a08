/** The bench on which a driver is tried: notes all that it says, and watches over the rules that hold in every case. */
import { setImmediate as nextTick } from "node:timers/promises";
import { afterEach, beforeEach, expect } from "vitest";
import { defined } from "#core/assert.ts";
import type { Driver } from "#io/driver.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { type Kind, type Network, pattern, Received, type Remote } from "./driver.network.ts";

/** io_uring keeps up to 256 buffers lent to the kernel; the rest is for the tests, which send megabytes. */
export const ARENA_BUFFERS = 512;
export const MIB = 1024 * 1024;
export const KINDS: readonly Kind[] = ["tcp", "unix"];

/** Opens a fresh network over an arena of ARENA_BUFFERS. */
export type OpenNetwork = () => Network;

/** A bench with a fresh network for every test; after each, nothing may be left, and no rule broken. */
export function useBench(open: OpenNetwork): Bench {
  const bench = new Bench();
  beforeEach(() => bench.begin(open()));
  afterEach(() => bench.finish());
  return bench;
}

/** A test's driver, watched over: callbacks only within turns, nothing after close. */
export class Bench {
  #network: Network | null = null;
  recorders: Recorder[] = [];
  /** Broken rules; every case ends by expecting none. */
  violations: string[] = [];
  inTurn = false;
  /** Buffers free while nothing happens: all but what the driver lends to the kernel. */
  restingFree = 0;
  #descriptors = 0;

  get network(): Network {
    return defined(this.#network, "network of a running test");
  }

  get driver(): Driver {
    return this.network.driver;
  }

  begin(network: Network): void {
    this.#network = network;
    this.recorders = [];
    this.violations = [];
    this.turn(0);
    this.restingFree = network.driver.buffers.free;
    this.#descriptors = network.descriptors();
  }

  /** Closes what the test left open; then buffers and descriptors must all come back. */
  async finish(): Promise<void> {
    const { buffers } = this.driver;
    try {
      for (const recorder of this.recorders) if (recorder.socket !== null) recorder.close();
      await this.network.close();
      await this.until("every buffer comes back", () => buffers.free === this.restingFree);
      await this.until("every descriptor is closed", () => this.network.descriptors() <= this.#descriptors);
    } finally {
      this.driver.dispose();
    }
    expect(this.violations).toEqual([]);
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

  /** Lets the other ends act, with no turn meanwhile: the next finds several things done at once. */
  async meanwhile(): Promise<void> {
    for (let i = 0; i < 10; i++) {
      await this.network.breathe();
      await nextTick();
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
      onAcceptEnd: () => {},
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
