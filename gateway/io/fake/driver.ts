/**
 * The driver of simulation: a network in memory with a virtual clock, in which everything that may happen in another
 * order, in other pieces, later or not at all does so as the seed decides. One seed replays one run exactly, as long as
 * its caller does the same things.
 *
 * Descriptors are numbers far above any real one, so that a system call on one fails instead of meeting another's file.
 */
import { formatAddress, parseAddress } from "#core/address.ts";
import { asFd, type Fd } from "#core/brands.ts";
import { ECONNREFUSED, ECONNRESET, EMFILE, EPIPE, ETIMEDOUT } from "#core/errno.ts";
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES, BUFFER_SHIFT, type Buffers } from "#io/buffers.ts";
import type { DatagramHandler, DatagramSocket } from "#io/datagram.ts";
import type { AcceptHandler, Driver, Listening } from "#io/driver.ts";
import { clearRegions, consumeRegions, pushRegion } from "#io/send-queue.ts";
import { SocketTable } from "#io/socket-table.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { connectEnds, type End } from "./connection.ts";
import { type DatagramService, FakeDatagramNetwork } from "./datagrams.ts";
import type { SpliceHandler } from "#io/splice.ts";
import { CALM, type Faults } from "./faults.ts";
import { FakeSplices } from "./splices.ts";
import { FakeListener } from "./listener.ts";
import { FakePeer, type PeerHandler } from "./peer.ts";
import { World } from "./world.ts";

interface FakeListening extends Listening {
  readonly handler: AcceptHandler;
}

/** Above fs.nr_open, which bounds every process. */
const FIRST_FD = 0x4000_0000;

/** So little that the streams of a simulation come to it. */
const BULK_BYTES = 1000;

/** Bits of `Socket.marks`: the schedule holds a receive, a send of this life. */
const RECEIVE_PLANNED = 1;
const SEND_PLANNED = 2;

export interface FakeDriverOptions {
  readonly arena: Arena;
  /** Any whole number up to 2⁵³. */
  readonly seed: number;
  /** CALM where nothing is said. */
  readonly faults?: Partial<Faults>;
  /** Where the virtual clock begins. */
  readonly nowMs?: number;
}

export function createFakeDriver(options: FakeDriverOptions): FakeDriver {
  return new FakeDriver(options);
}

export class FakeDriver implements Driver {
  readonly name = "fake";
  readonly buffers: Buffers;
  readonly #world: World;
  readonly bulkBytes = BULK_BYTES;
  readonly #sockets = new SocketTable();
  readonly #splices: FakeSplices;
  readonly #datagramNetwork: FakeDatagramNetwork;
  /** The connected end of each socket, by index. */
  readonly #ends: (End | null)[] = [];
  readonly #addresses: string[] = [];
  readonly #listeners = new Map<number, FakeListener>();
  readonly #services = new Map<string, (peer: FakePeer) => PeerHandler>();
  readonly #silent = new Set<string>();
  readonly #watches = new Map<number, () => void>();
  readonly #readable = new Set<number>();
  #starved: { readonly socket: Socket; readonly generation: number }[] = [];
  #fdsMade = 0;
  #dials = 0;
  #dispatched = 0;
  /** What is due, and a turn has left. */
  #due: (() => void)[] = [];
  #turnEnded = false;

  constructor(options: FakeDriverOptions) {
    this.buffers = options.arena.buffers;
    this.#world = new World(options.seed, { ...CALM, ...options.faults }, options.nowMs ?? 0);
    this.#splices = new FakeSplices(this.#world, {
      receiveSoon: (from) => this.#receiveSoon(from),
      sendSoon: (to) => this.#planSend(to),
      dispatched: () => this.#dispatched++,
    });
    this.#datagramNetwork = new FakeDatagramNetwork(this.#world, () => this.#dispatched++);
  }

  /** The virtual clock. */
  get nowMs(): number {
    return this.#world.nowMs;
  }

  /** May be changed at any time: a storm that ends shows whether everything recovers. */
  get faults(): Faults {
    return this.#world.faults;
  }
  set faults(faults: Partial<Faults>) {
    this.#world.faults = { ...this.#world.faults, ...faults };
  }

  /** Nothing will happen any more unless somebody does something. */
  get idle(): boolean {
    return this.#due.length === 0 && this.#world.schedule.nextMs === Infinity && !this.#sockets.hasFailed;
  }

  /** Sockets that are not closed. */
  get openSockets(): number {
    return this.#sockets.taken;
  }

  /** A listening descriptor, for `accept` and `dial`. */
  listen(): Fd {
    const fd = this.#newFd();
    this.#listeners.set(fd, new FakeListener(this.#world));
    return fd;
  }

  /** A client connects to a listening descriptor. `from` is its address; the connection waits until it is accepted. */
  dial(fd: Fd, handler: PeerHandler, from = `192.0.2.1:${10_000 + (this.#dials++ % 50_000)}`): FakePeer {
    const listener = this.#listeners.get(fd);
    if (listener === undefined) throw new RangeError(`nobody listens at ${fd}`);
    const [ours, theirs] = connectEnds(this.#world);
    const peer = new FakePeer(this.#world, theirs, from);
    peer.handle(handler);
    listener.enqueue({ end: ours, from });
    return peer;
  }

  /** An upstream: every connect to this address reaches `onPeer`, whose answer plays it. Null for nobody any more. */
  serve(address: string, onPeer: ((peer: FakePeer) => PeerHandler) | null): void {
    const text = formatAddress(parseAddress(address));
    if (onPeer === null) this.#services.delete(text);
    else this.#services.set(text, onPeer);
  }

  /** An upstream that never answers: connects to this address fail with ETIMEDOUT after `connectTimeoutMs`. */
  silence(address: string): void {
    this.#silent.add(formatAddress(parseAddress(address)));
  }

  /** Does something `ms` from now, in a turn, which ends with it as with a completion: what clients and servers do by their own clocks. */
  after(ms: number, run: () => void): void {
    this.#world.schedule.add(this.nowMs + ms, () => {
      this.#dispatched++;
      run();
    });
  }

  /** Makes a watched descriptor readable, or no longer. */
  setReadable(fd: Fd, readable: boolean): void {
    if (readable) this.#readable.add(fd);
    else this.#readable.delete(fd);
  }

  /** Who is at the other end of a socket: the bytes of a struct sockaddr. */
  peerAddress(socket: Socket): Uint8Array {
    return parseAddress(this.#addresses[socket.index] ?? "");
  }

  /** The fake has one address at our end. */
  localAddress(_socket: Socket): Uint8Array {
    return parseAddress("198.51.100.1:80");
  }

  accept(fd: Fd, handler: AcceptHandler): Listening {
    const listener = this.#listeners.get(fd);
    if (listener === undefined) throw new RangeError(`nobody listens at ${fd}`);
    const listening: FakeListening = { fd, handler };
    listener.open(() => {
      if (listener.listening !== listening) return;
      this.#dispatched++;
      if (this.#world.random.chance(this.#world.faults.acceptError)) {
        listener.shut();
        handler.onAcceptError(EMFILE);
        return;
      }
      const { end, from } = listener.take();
      const socket = this.#sockets.take(this.#newFd());
      this.#addresses[socket.index] = from;
      this.#join(socket, end);
      handler.onAccept(socket);
    }, listening);
    return listening;
  }

  stopAccept(listening: Listening): void {
    const listener = this.#listeners.get(listening.fd);
    if (listener?.listening !== listening) return;
    listener.shut();
    const { handler } = listening as FakeListening;
    this.#world.schedule.add(this.nowMs, () => {
      this.#dispatched++;
      handler.onAcceptEnd();
    });
  }

  connect(address: Uint8Array, handler: SocketHandler): Socket {
    const { random, faults, schedule } = this.#world;
    const socket = this.#sockets.take(this.#newFd());
    socket.handler = handler;
    socket.connecting = true;
    this.#ends[socket.index] = null;
    const text = formatAddress(address);
    this.#addresses[socket.index] = text;
    const { generation } = socket;
    const silent = this.#silent.has(text) || random.chance(faults.connectTimeout);
    const at = silent ? this.nowMs + faults.connectTimeoutMs : this.#world.arrivalMs();
    schedule.add(at, () => {
      if (socket.generation === generation) this.#connected(socket, silent);
    });
    return socket;
  }

  adopt(): Socket {
    throw new Error("real descriptors mean nothing in simulation");
  }

  startReceive(socket: Socket): void {
    if (socket.receiving || socket.fd < 0) return;
    socket.receiving = true;
    const end = this.#endOf(socket);
    if (end !== null) this.#planReceive(socket, end.incoming.nextMs);
  }

  stopReceive(socket: Socket): void {
    socket.receiving = false;
  }

  send(socket: Socket, buffer: number, start: number, end: number): void {
    if (socket.fd < 0 || end <= start) return;
    pushRegion(socket, this.buffers, buffer, start, end);
    if (!socket.connecting) this.#planSend(socket);
  }

  splice(from: Socket, to: Socket, handler: SpliceHandler): void {
    this.#splices.begin(from, to, handler);
  }

  queuedBytes(socket: Socket): number {
    return socket.queuedBytes;
  }

  shutdown(socket: Socket): void {
    if (socket.fd < 0 || socket.shutdownWanted) return;
    socket.shutdownWanted = true;
    if (socket.queuedBytes === 0) this.#endOf(socket)?.finish();
  }

  close(socket: Socket): void {
    if (socket.fd < 0) return;
    const end = this.#endOf(socket);
    if (end !== null) {
      end.incoming.ends.arrives = () => {};
      end.outgoing.ends.room = () => {};
      end.close();
    }
    this.#ends[socket.index] = null;
    socket.handler = null;
    socket.receiving = false;
    socket.marks = 0;
    this.#splices.end(this.#splices.from(socket));
    this.#splices.end(this.#splices.to(socket));
    clearRegions(socket, this.buffers);
    this.#sockets.give(socket);
  }

  reset(socket: Socket): void {
    this.#endOf(socket)?.reset();
    this.close(socket);
  }

  /** The pipe's room is given back as its reader takes: what is queued tells all there is to know. */
  acknowledgedBytes(_socket: Socket): number {
    return -1;
  }

  /** A bound datagram socket, for `datagrams` and `sendDatagram`. */
  bindDatagrams(): Fd {
    return this.#newFd();
  }

  /** A client's datagram to a bound socket; `reply` hears of what is sent back to `from`. */
  sendDatagram(fd: Fd, bytes: Uint8Array, from: string, reply: (bytes: Uint8Array) => void): void {
    this.#datagramNetwork.toBound(fd, bytes, from, reply);
  }

  /** An upstream of datagrams; null for nobody any more. */
  serveDatagrams(address: string, service: DatagramService | null): void {
    this.#datagramNetwork.serve(address, service);
  }

  datagrams(fd: Fd, handler: DatagramHandler): DatagramSocket {
    return this.#datagramNetwork.bound(fd, handler);
  }

  connectDatagrams(address: Uint8Array, handler: DatagramHandler): DatagramSocket {
    return this.#datagramNetwork.connected(this.#newFd(), address, handler);
  }

  watch(fd: Fd, ready: () => void): void {
    this.#watches.set(fd, ready);
  }

  unwatch(fd: Fd): void {
    this.#watches.delete(fd);
  }

  /** As real time would: waits for the first completion. With `waitMs` −1 and nothing to wait for it returns at once. */
  turn(waitMs: number): number {
    this.#dispatched = 0;
    this.#turnEnded = false;
    const world = this.#world;
    const deadline = waitMs < 0 ? Infinity : world.nowMs + waitMs;
    for (;;) {
      this.#feedStarved();
      this.#callWatches();
      if (this.#due.length === 0) this.#due = world.schedule.due(world.nowMs);
      while (this.#due.length > 0 && !this.#turnEnded) this.#due.shift()?.();
      if (this.#dispatched > 0 || world.nowMs >= deadline) break;
      const next = Math.min(world.schedule.nextMs, deadline);
      if (next === Infinity) break;
      world.nowMs = Math.max(world.nowMs, next);
    }
    return this.#dispatched;
  }

  endTurn(): void {
    this.#turnEnded = true;
  }

  dispose(): void {
    this.#watches.clear();
    this.#listeners.clear();
  }

  #newFd(): Fd {
    return asFd(FIRST_FD + this.#fdsMade++);
  }

  #endOf(socket: Socket): End | null {
    return this.#ends[socket.index] ?? null;
  }

  #join(socket: Socket, end: End): void {
    const { generation } = socket;
    this.#ends[socket.index] = end;
    end.outgoing.ends.room = () => this.#planSend(socket);
    end.incoming.ends.arrives = (at) => {
      this.#planReceive(socket, at);
      // A reset also ends a send that waits for room.
      if (!end.incoming.ended || socket.queuedBytes === 0) return;
      this.#world.schedule.add(at, () => {
        if (socket.generation === generation) this.#planSend(socket);
      });
    };
  }

  #connected(socket: Socket, silent: boolean): void {
    const { random, faults } = this.#world;
    const address = this.#addresses[socket.index] ?? "";
    const service = random.chance(faults.refuse) ? undefined : this.#services.get(address);
    socket.connecting = false;
    this.#dispatched++;
    if (silent || service === undefined) {
      socket.handler?.onConnect(socket, silent ? ETIMEDOUT : ECONNREFUSED);
      return;
    }
    const [ours, theirs] = connectEnds(this.#world);
    this.#join(socket, ours);
    const peer = new FakePeer(this.#world, theirs, address);
    peer.handle(service(peer));
    if (socket.queueLength > 0) this.#planSend(socket);
    else if (socket.shutdownWanted) ours.finish();
    if (socket.receiving) this.#planReceive(socket, ours.incoming.nextMs);
    socket.handler?.onConnect(socket, 0);
  }

  #planReceive(socket: Socket, at: number): void {
    if (!socket.receiving || (socket.marks & RECEIVE_PLANNED) !== 0 || at === Infinity) return;
    socket.marks |= RECEIVE_PLANNED;
    const { generation } = socket;
    this.#world.schedule.add(Math.max(at, this.nowMs + this.#world.hesitationMs()), () => {
      if (socket.generation !== generation) return;
      socket.marks &= ~RECEIVE_PLANNED;
      if (socket.receiving) this.#receive(socket);
    });
  }

  #receive(socket: Socket): void {
    const end = this.#endOf(socket);
    if (end === null) return;
    const { incoming } = end;
    const { generation } = socket;
    const splice = this.#splices.from(socket);
    // What is queued there goes first: when it has left, this is planned again.
    if (splice !== undefined && splice.to.queuedBytes > 0) return;
    if (incoming.arrived(this.nowMs) === 0) {
      if (incoming.nextMs <= this.nowMs) this.#deliverEnd(socket, incoming.takeEnd());
    } else if (splice === undefined) {
      this.#deliver(socket, end);
    } else {
      this.#splices.fill(splice, end);
    }
    if (socket.generation === generation) this.#planReceive(socket, incoming.nextMs);
  }

  #deliver(socket: Socket, end: End): void {
    const { random, faults, nowMs } = this.#world;
    if (random.chance(faults.noBuffer)) return;
    const buffer = this.buffers.allocate();
    if (buffer < 0) {
      this.#starved.push({ socket, generation: socket.generation });
      // Not planned again by the caller, but by the buffers' return.
      socket.marks |= RECEIVE_PLANNED;
      return;
    }
    const start = buffer << BUFFER_SHIFT;
    const most = Math.min(BUFFER_BYTES, end.incoming.arrived(nowMs));
    const count = random.chance(faults.shortRead) ? random.upTo(most) : most;
    end.incoming.take(this.buffers.memory.subarray(start, start + count), count, nowMs);
    this.#dispatched++;
    socket.receivedBytes += count;
    socket.handler?.onReceive(socket, buffer, start, start + count);
    this.buffers.release(buffer);
  }

  #deliverEnd(socket: Socket, error: number): void {
    socket.receiving = false;
    this.#splices.end(this.#splices.from(socket));
    this.#dispatched++;
    if (error === 0) socket.handler?.onEnd(socket);
    else socket.handler?.onError(socket, error);
  }

  #feedStarved(): void {
    if (this.#starved.length === 0 || this.buffers.free === 0) return;
    const starved = this.#starved;
    this.#starved = [];
    for (const { socket, generation } of starved) {
      if (socket.generation !== generation) continue;
      socket.marks &= ~RECEIVE_PLANNED;
      const end = this.#endOf(socket);
      if (end !== null) this.#planReceive(socket, end.incoming.nextMs);
    }
  }

  #callWatches(): void {
    // A copy: a callback may unwatch, and watch again.
    for (const [fd, ready] of Array.from(this.#watches)) {
      if (!this.#readable.has(fd) || this.#watches.get(fd) !== ready) continue;
      this.#dispatched++;
      ready();
    }
  }

  #planSend(socket: Socket): void {
    if ((socket.marks & SEND_PLANNED) !== 0 || socket.queuedBytes === 0) return;
    socket.marks |= SEND_PLANNED;
    const { generation } = socket;
    this.#world.schedule.add(this.nowMs + this.#world.hesitationMs(), () => {
      if (socket.generation !== generation) return;
      socket.marks &= ~SEND_PLANNED;
      this.#drain(socket);
    });
  }

  #drain(socket: Socket): void {
    const end = this.#endOf(socket);
    if (end === null || socket.queuedBytes === 0) return;
    const { random, faults } = this.#world;
    const lost = random.chance(faults.reset);
    if (lost) {
      end.outgoing.end(this.#world.arrivalMs(), ECONNRESET);
      end.incoming.end(this.nowMs, ECONNRESET);
    }
    if (end.broken || end.outgoing.ended) {
      this.#splices.end(this.#splices.to(socket));
      clearRegions(socket, this.buffers);
      this.#dispatched++;
      socket.handler?.onError(socket, lost || end.broken ? ECONNRESET : EPIPE);
      return;
    }
    const splice = this.#splices.to(socket);
    if (socket.queueLength === 0 && splice !== undefined) {
      this.#splices.drain(splice, end);
      return;
    }
    while (socket.queueLength > 0 && end.room > 0) {
      const region = socket.queueHead * 3;
      const start = socket.queue[region + 1] as number;
      const most = Math.min((socket.queue[region + 2] as number) - start, end.room);
      const short = random.chance(faults.shortWrite);
      const count = short ? random.upTo(most) : most;
      end.write(this.buffers.memory.subarray(start, start + count));
      consumeRegions(socket, this.buffers, count);
      if (short) break;
    }
    if (socket.queueLength > 0) {
      if (end.room > 0) this.#planSend(socket);
      return;
    }
    if (socket.shutdownWanted) end.finish();
    this.#dispatched++;
    if (splice !== undefined) this.#receiveSoon(splice.from);
    socket.handler?.onSent(socket);
  }

  #receiveSoon(socket: Socket): void {
    const end = this.#endOf(socket);
    if (end !== null) this.#planReceive(socket, end.incoming.nextMs);
  }
}
