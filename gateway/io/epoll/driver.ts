/**
 * The driver over epoll, for kernels and containers that forbid io_uring: readiness turned into completions.
 *
 * A socket is registered once, edge-triggered, for both directions: no epoll_ctl on the hot path. What an edge said is
 * kept in the socket: `receiveArmed` means that the last receive emptied it and the kernel will tell of more;
 * `sendArmed`, that the kernel took no more and will tell of room. An unarmed direction may be tried at any time.
 *
 * Nothing is received or sent inside the call that asked for it. Sockets to be tried stand in two lists, and `marks`
 * remembers which; a closed socket goes back to the pool once it stands in neither. An event carries the generation, so
 * one that was fetched before a close can't reach the next life of the object.
 *
 *     turn:  failed connects → sends asked for since → receives left over → epoll_pwait → events → sends they asked for
 */
import type { Fd } from "#core/brands.ts";
import { EAGAIN, ECONNABORTED, EINPROGRESS, EINTR } from "#core/errno.ts";
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES, BUFFER_SHIFT, type Buffers } from "#io/buffers.ts";
import type { DatagramHandler, DatagramSocket } from "#io/datagram.ts";
import type { AcceptHandler, Driver, Listening } from "#io/driver.ts";
import { connectDatagrams, DatagramTable, KernelDatagrams } from "#io/kernel-datagrams.ts";
import { clearRegions, pushRegion } from "#io/send-queue.ts";
import { SocketTable } from "#io/socket-table.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { BULK_BYTES, type SpliceHandler } from "#io/splice.ts";
import { setBlocking } from "#sys/blocking.ts";
import {
  Epoll,
  EPOLLERR,
  EPOLLET,
  EPOLLEXCLUSIVE,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
} from "#sys/epoll.ts";
import {
  accept4,
  bindLocal,
  close as closeDescriptor,
  connect,
  getpeername,
  getsockname,
  openStream,
  recv,
  resetOnClose,
  shutdown,
  SHUT_WR,
  socketError,
} from "#sys/socket.ts";
import { bytesAcknowledged } from "#sys/tcp-info.ts";
import { Sender } from "./sender.ts";
import { type SplicingDriver, Splicer } from "./splicer.ts";

/** Events of one wait; what is left comes with the next. Some hundred sockets are busy in a turn at full load. */
const EVENTS_MAX = 512;
/** Fairness: 128 KiB a socket and turn, and the rest in the next turn. */
const RECEIVES_MAX = 4;
/** Fairness: connections taken from one listener a turn. */
const ACCEPTS_MAX = 64;
/** Of a listening socket, as net.core.somaxconn bounds it where nobody has changed that. */
const QUEUE_MAX = 4096;

const SOCKET_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET;
/** Only one of the workers that wait on a shared listener is woken. */
const ACCEPT_EVENTS = EPOLLIN | EPOLLEXCLUSIVE;
/** After one of these a short receive doesn't mean an emptied socket: the end, an error or urgent data stands behind it. */
const MORE_BEHIND = EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI;

/** What an event belongs to stands in the top byte of its high word, a socket's generation in the others. */
const KIND_SHIFT = 24;
const KIND_SOCKET = 0;
const KIND_ACCEPT = 1;
const KIND_WATCH = 2;

/** Bits of `Socket.marks`. */
const TO_SEND = 1;
const TO_RECEIVE = 2;
const READ_TO_END = 4;
const LISTED = TO_SEND | TO_RECEIVE;

interface EpollListening extends Listening {
  readonly handler: AcceptHandler;
  readonly id: number;
  active: boolean;
}

export interface EpollDriverOptions {
  readonly arena: Arena;
}

export function createEpollDriver(options: EpollDriverOptions): Driver {
  return new EpollDriver(options.arena);
}

class EpollDriver implements Driver, SplicingDriver {
  readonly name = "epoll";
  readonly buffers: Buffers;
  woke: () => void = () => {};
  readonly #arenaBase: number;
  readonly #epoll = new Epoll(EVENTS_MAX);
  readonly #sender: Sender;
  readonly bulkBytes = BULK_BYTES;
  readonly #sockets = new SocketTable();
  readonly #splicer = new Splicer(this);
  /** Made when the first datagram socket is. */
  #datagramTable: DatagramTable | null = null;
  readonly #listenings = new Map<number, EpollListening>();
  /** Stopped, and not yet told so. */
  #stopped: EpollListening[] = [];
  readonly #watches = new Map<number, () => void>();
  #listeningsMade = 0;
  /** Sockets with something queued that are not waiting for room; and the array that serves next. */
  #toSend: Socket[] = [];
  #toSendSpare: Socket[] = [];
  /** Sockets that may hold bytes and want them: bounded by fairness, starved of buffers, or just started. */
  #toReceive: Socket[] = [];
  #toReceiveSpare: Socket[] = [];
  /** Callbacks made in this turn. */
  #dispatched = 0;
  /** Events of the last wait, and the next of them: those that a turn has left. */
  #events = 0;
  #event = 0;
  /** No more of what has come in this turn. */
  #turnEnded = false;

  constructor(arena: Arena) {
    this.buffers = arena.buffers;
    this.#arenaBase = Number(arena.address);
    this.#sender = new Sender(arena);
  }

  accept(fd: Fd, handler: AcceptHandler): Listening {
    setBlocking(fd, false);
    const listening: EpollListening = { fd, handler, id: this.#listeningsMade++ & 0x7fff_ffff, active: true };
    this.#listenings.set(listening.id, listening);
    this.#epoll.add(fd, ACCEPT_EVENTS, listening.id, KIND_ACCEPT << KIND_SHIFT);
    return listening;
  }

  /** The listener must still be open: its number may belong to another descriptor later. */
  stopAccept(listening: Listening): void {
    for (const one of this.#listenings.values()) {
      if (one !== listening) continue;
      this.#forget(one);
      this.#stopped.push(one);
    }
  }

  #forget(listening: EpollListening): void {
    listening.active = false;
    this.#listenings.delete(listening.id);
    this.#epoll.remove(listening.fd);
  }

  connect(address: Uint8Array, handler: SocketHandler, local?: Uint8Array): Socket {
    const socket = this.#sockets.take(-1);
    socket.handler = handler;
    socket.connecting = true;
    const fd = openStream((address[0] as number) | ((address[1] as number) << 8));
    if (fd < 0) {
      this.#sockets.fail(socket, -fd);
      return socket;
    }
    const unbound = local === undefined ? 0 : bindLocal(fd, local);
    const error = unbound === 0 ? connect(fd as Fd, address) : unbound;
    if (error === 0 || error === EINPROGRESS || error === EINTR) {
      this.#register(socket, fd);
    } else {
      closeDescriptor(fd);
      this.#sockets.fail(socket, error);
    }
    return socket;
  }

  adopt(fd: Fd, handler: SocketHandler): Socket {
    setBlocking(fd, false);
    const socket = this.#sockets.take(-1);
    socket.handler = handler;
    this.#register(socket, fd);
    return socket;
  }

  peerAddress(socket: Socket): Uint8Array | null {
    return getpeername(socket.fd as Fd);
  }

  localAddress(socket: Socket): Uint8Array {
    return getsockname(socket.fd as Fd);
  }

  startReceive(socket: Socket): void {
    if (socket.receiving || socket.fd < 0) return;
    socket.receiving = true;
    if (!socket.receiveArmed) this.receiveSoon(socket);
  }

  stopReceive(socket: Socket): void {
    socket.receiving = false;
  }

  send(socket: Socket, buffer: number, start: number, end: number): void {
    if (socket.handler === null || end <= start) return;
    pushRegion(socket, this.buffers, buffer, start, end);
    if (!socket.sendArmed && !socket.connecting) this.#sendSoon(socket);
  }

  splice(from: Socket, to: Socket, handler: SpliceHandler): void {
    this.#splicer.begin(from, to, handler);
  }

  queuedBytes(socket: Socket): number {
    return socket.queuedBytes;
  }

  shutdown(socket: Socket): void {
    if (socket.fd < 0 || socket.shutdownWanted) return;
    socket.shutdownWanted = true;
    if (socket.queuedBytes === 0 && !socket.connecting) this.finish(socket);
  }

  close(socket: Socket): void {
    const failed = socket.fd < 0;
    if (failed && socket.handler === null) return;
    socket.handler = null;
    socket.receiving = false;
    this.#splicer.end(socket.splicedTo);
    this.#splicer.end(socket.splicedFrom);
    clearRegions(socket, this.buffers);
    if (failed) {
      // While `connecting`, the table still has it to report, and takes it back then.
      if (!socket.connecting) this.#recycle(socket);
      return;
    }
    closeDescriptor(socket.fd);
    socket.fd = -1;
    socket.connecting = false;
    this.#recycle(socket);
  }

  reset(socket: Socket): void {
    if (socket.fd >= 0 && !socket.connecting) resetOnClose(socket.fd as Fd);
    this.close(socket);
  }

  acknowledgedBytes(socket: Socket): number {
    return socket.fd < 0 ? -1 : bytesAcknowledged(socket.fd);
  }

  datagrams(fd: Fd, handler: DatagramHandler): DatagramSocket {
    this.#datagramTable ??= new DatagramTable();
    return new KernelDatagrams(fd, false, this.#datagramTable, this, handler);
  }

  connectDatagrams(address: Uint8Array, handler: DatagramHandler, local?: Uint8Array): DatagramSocket | number {
    this.#datagramTable ??= new DatagramTable();
    return connectDatagrams(address, this.#datagramTable, this, handler, local);
  }

  watch(fd: Fd, ready: () => void): void {
    this.#epoll.add(fd, EPOLLIN, fd, KIND_WATCH << KIND_SHIFT);
    this.#watches.set(fd, ready);
  }

  unwatch(fd: Fd): void {
    if (this.#watches.delete(fd)) this.#epoll.remove(fd);
  }

  turn(waitMs: number): number {
    this.#dispatched = 0;
    this.#turnEnded = false;
    if (this.#sockets.hasFailed) this.#dispatched += this.#sockets.reportFailed();
    if (this.#stopped.length > 0) this.#tellStopped();
    this.#flush();
    this.#receiveListed();
    if (this.#event === this.#events) {
      this.#events = this.#epoll.wait(this.#mayWait() ? waitMs : 0);
      this.#event = 0;
    }
    if (waitMs !== 0) this.woke();
    while (this.#event < this.#events && !this.#turnEnded) {
      const i = this.#event++;
      this.#dispatch(this.#epoll.highAt(i), this.#epoll.lowAt(i), this.#epoll.eventsAt(i));
    }
    this.#flush();
    return this.#dispatched;
  }

  endTurn(): void {
    this.#turnEnded = true;
  }

  #tellStopped(): void {
    const stopped = this.#stopped;
    this.#stopped = [];
    this.#dispatched += stopped.length;
    for (const listening of stopped) {
      this.#sweep(listening);
      listening.handler.onAcceptEnd();
    }
  }

  /** A connection wakes one of those who wait for it: those that woke us, and were not taken, nobody else was told of. */
  #sweep({ fd, handler }: EpollListening): void {
    for (let i = 0; i < QUEUE_MAX; i++) {
      const accepted = accept4(fd);
      if (accepted === -EINTR || accepted === -ECONNABORTED) continue;
      if (accepted < 0) return;
      const socket = this.#sockets.take(-1);
      this.#register(socket, accepted);
      handler.onAccept(socket);
    }
  }

  dispose(): void {
    this.#datagramTable?.dispose();
    this.#epoll.dispose();
    this.#sender.dispose();
  }

  /** Nothing was done in this turn and nothing can be done without an event. Sockets starved of buffers wait for one too. */
  #mayWait(): boolean {
    if (this.#dispatched > 0 || this.#toSend.length > 0 || this.#sockets.hasFailed) return false;
    return this.#toReceive.length === 0 || this.buffers.free === 0;
  }

  #dispatch(high: number, low: number, events: number): void {
    switch (high >>> KIND_SHIFT) {
      case KIND_SOCKET: {
        const socket = this.#sockets.at(low);
        if (socket.generation === high && socket.fd >= 0) this.#ready(socket, events);
        break;
      }
      case KIND_ACCEPT: {
        const listening = this.#listenings.get(low);
        if (listening !== undefined) this.#accepted(listening);
        break;
      }
      default: {
        const ready = this.#watches.get(low);
        if (ready === undefined) break;
        this.#dispatched++;
        ready();
      }
    }
  }

  #ready(socket: Socket, events: number): void {
    if (socket.connecting && !this.#connected(socket, events)) return;
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) !== 0 && socket.sendArmed) {
      socket.sendArmed = false;
      this.#sendSoon(socket);
    }
    if ((events & (EPOLLIN | MORE_BEHIND)) === 0) return;
    if ((events & MORE_BEHIND) !== 0) socket.marks |= READ_TO_END;
    socket.receiveArmed = false;
    if (socket.receiving) this.#receive(socket);
  }

  /** Reports the end of a connect; answers whether the socket lives on, connected. */
  #connected(socket: Socket, events: number): boolean {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) === 0) return false;
    const generation = socket.generation;
    const error = socketError(socket.fd as Fd);
    socket.connecting = false;
    if (error === 0) {
      if (socket.queueLength > 0) this.#sendSoon(socket);
      else if (socket.shutdownWanted) this.finish(socket);
    }
    this.#dispatched++;
    socket.handler?.onConnect(socket, error);
    return error === 0 && socket.generation === generation && socket.fd >= 0;
  }

  #accepted(listening: EpollListening): void {
    for (let i = 0; i < ACCEPTS_MAX && listening.active; i++) {
      const fd = accept4(listening.fd);
      if (fd === -EAGAIN) return;
      if (fd === -EINTR || fd === -ECONNABORTED) continue;
      this.#dispatched++;
      if (fd < 0) {
        // Level-triggered, it would fail again in every turn: the owner knows when to try again.
        this.#forget(listening);
        listening.handler.onAcceptError(-fd);
        return;
      }
      const socket = this.#sockets.take(-1);
      this.#register(socket, fd);
      listening.handler.onAccept(socket);
    }
  }

  /** Registered before anything is known about it: the kernel reports what is ready already as the first edge. */
  #register(socket: Socket, fd: number): void {
    socket.fd = fd;
    socket.receiveArmed = true;
    this.#epoll.add(fd, SOCKET_EVENTS, socket.index, (KIND_SOCKET << KIND_SHIFT) | socket.generation);
  }

  #receive(socket: Socket): void {
    if (socket.splicedTo !== null) {
      this.#splicer.step(socket.splicedTo);
      return;
    }
    const generation = socket.generation;
    for (let i = 0; i < RECEIVES_MAX && !this.#turnEnded; i++) {
      const buffer = this.buffers.allocate();
      if (buffer < 0) break;
      const start = buffer << BUFFER_SHIFT;
      const result = recv(socket.fd, this.#arenaBase + start, BUFFER_BYTES);
      if (result <= 0) {
        this.buffers.release(buffer);
        if (result !== -EINTR) return this.#receivedNothing(socket, result);
        continue;
      }
      socket.receiveArmed = result < BUFFER_BYTES && (socket.marks & READ_TO_END) === 0;
      this.#dispatched++;
      socket.receivedBytes += result;
      socket.handler?.onReceive(socket, buffer, start, start + result);
      this.buffers.release(buffer);
      if (socket.generation !== generation || !socket.receiving || socket.receiveArmed) return;
      if (socket.splicedTo !== null) break;
    }
    this.receiveSoon(socket);
  }

  #receivedNothing(socket: Socket, result: number): void {
    if (result === -EAGAIN) {
      socket.receiveArmed = true;
      socket.marks &= ~READ_TO_END;
      return;
    }
    socket.receiving = false;
    this.#dispatched++;
    if (result === 0) socket.handler?.onEnd(socket);
    else socket.handler?.onError(socket, -result);
  }

  /** It may hold bytes and wants them. */
  receiveSoon(socket: Socket): void {
    if ((socket.marks & TO_RECEIVE) !== 0) return;
    socket.marks |= TO_RECEIVE;
    this.#toReceive.push(socket);
  }

  #receiveListed(): void {
    const list = this.#toReceive;
    if (list.length === 0 || this.buffers.free === 0) return;
    this.#toReceive = this.#toReceiveSpare;
    for (let i = 0; i < list.length; i++) {
      const socket = list[i] as Socket;
      socket.marks &= ~TO_RECEIVE;
      if (socket.fd < 0) this.#recycle(socket);
      else if (socket.receiving && !socket.receiveArmed) this.#receive(socket);
    }
    list.length = 0;
    this.#toReceiveSpare = list;
  }

  #sendSoon(socket: Socket): void {
    if ((socket.marks & TO_SEND) !== 0) return;
    socket.marks |= TO_SEND;
    this.#toSend.push(socket);
  }

  /** Sends what was asked for before the call; what its callbacks ask for is left for the next. */
  #flush(): void {
    const list = this.#toSend;
    if (list.length === 0) return;
    this.#toSend = this.#toSendSpare;
    for (let i = 0; i < list.length; i++) {
      const socket = list[i] as Socket;
      socket.marks &= ~TO_SEND;
      if (socket.fd < 0) this.#recycle(socket);
      else if (socket.queueLength > 0) this.#drain(socket);
      else if (socket.splicedFrom !== null) this.#splicer.step(socket.splicedFrom);
    }
    list.length = 0;
    this.#toSendSpare = list;
  }

  #drain(socket: Socket): void {
    const error = this.#sender.drain(socket);
    if (error === EAGAIN) {
      socket.sendArmed = true;
      return;
    }
    this.#dispatched++;
    if (error !== 0) {
      clearRegions(socket, this.buffers);
      socket.handler?.onError(socket, error);
      return;
    }
    if (socket.shutdownWanted) this.finish(socket);
    if (socket.splicedFrom !== null) this.receiveSoon(socket.splicedFrom.from);
    socket.handler?.onSent(socket);
  }

  tellsMore(socket: Socket): boolean {
    return (socket.marks & READ_TO_END) !== 0;
  }

  dispatched(): void {
    this.#dispatched++;
  }

  /** FIN. A refusal (ENOTCONN) means that the peer has reset: the next receive or send tells. */
  finish(socket: Socket): void {
    shutdown(socket.fd, SHUT_WR);
  }

  /** A closed socket back to the pool, unless a list still holds it. */
  #recycle(socket: Socket): void {
    if (socket.fd >= 0 || socket.handler !== null || (socket.marks & LISTED) !== 0) return;
    socket.marks = 0;
    this.#sockets.give(socket);
  }
}
