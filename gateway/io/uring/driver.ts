/**
 * The driver over io_uring: multishot accept and receive into provided buffers, one system call per turn.
 *
 * A completion carries the socket's index and the kind of operation in its user_data. A socket object goes back to the
 * pool only when the kernel has answered everything that was asked for it (`pending`), so a completion can never meet the
 * next life of the object; after `close` it has no handler, and completions only settle accounts.
 *
 * Sockets are in blocking mode: with O_NONBLOCK the kernel answers EAGAIN instead of waiting for readiness itself.
 */
import type { Fd } from "#core/brands.ts";
import { ECANCELED, ENOBUFS } from "#core/errno.ts";
import { blockingStream, setBlocking } from "#sys/blocking.ts";
import { bindLocal, close as closeDescriptor, getpeername, getsockname, resetOnClose } from "#sys/socket.ts";
import { bytesAcknowledged } from "#sys/tcp-info.ts";
import type { Arena } from "#io/arena.ts";
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { DatagramHandler, DatagramSocket } from "#io/datagram.ts";
import type { AcceptHandler, Driver, Listening } from "#io/driver.ts";
import { connectDatagrams, DatagramTable, KernelDatagrams } from "#io/kernel-datagrams.ts";
import { clearRegions, pushRegion } from "#io/send-queue.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { SocketTable } from "#io/socket-table.ts";
import { BULK_BYTES, type SpliceHandler } from "#io/splice.ts";
import { BUFFER_GROUP, ProvidedBuffers } from "./provided.ts";
import {
  OP_ACCEPT,
  OP_ASYNC_CANCEL,
  OP_CLOSE,
  OP_CONNECT,
  OP_POLL_ADD,
  OP_RECV,
  Ring,
  SQE_BUFFER_SELECT,
} from "./ring.ts";
import { Sender } from "./sender.ts";
import { sendFin, Splicer } from "./splicer.ts";

const KIND_ACCEPT = 0;
const KIND_RECEIVE = 1;
const KIND_SEND = 2;
const KIND_CONNECT = 3;
const KIND_SETTLE = 4;
const KIND_WATCH = 5;
const KIND_IGNORE = 6;
const KIND_READABLE = 7;
const KIND_WRITABLE = 8;

/** linux/io_uring.h */
const RECV_MULTISHOT = 1 << 1;
const ACCEPT_MULTISHOT = 1 << 0;
/** Linux 6.10; EINVAL before. */
const ACCEPT_DONTWAIT = 1 << 1;
/** Of a listening socket, as net.core.somaxconn bounds it where nobody has changed that. */
const QUEUE_MAX = 4096;
const CQE_F_BUFFER = 1 << 0;
const CQE_F_MORE = 1 << 1;
const CANCEL_ALL = 1 << 0;
const CANCEL_FD = 1 << 1;
const POLLIN = 1;
const SOCK_CLOEXEC = 0o2000000;

/** Twice what a worker submits in a turn at full load (a receive, a send and a close for each of some hundred sockets). */
const SUBMISSION_ENTRIES = 4096;
/** Four times that: multishot operations answer more than once. */
const COMPLETION_ENTRIES = 16384;
/** Small enough that the circulating buffers' first lines stay in the second-level cache. */
const PROVIDED_ENTRIES = 256;

interface UringListening extends Listening {
  readonly handler: AcceptHandler;
  readonly index: number;
  active: boolean;
  /** After it was stopped: how often it was looked whether one waits in the queue. */
  sweeps: number;
}

interface Watch {
  readonly fd: Fd;
  readonly ready: () => void;
  active: boolean;
}

export interface DriverOptions {
  readonly arena: Arena;
}

export function createUringDriver(options: DriverOptions): Driver {
  return new UringDriver(options.arena);
}

class UringDriver implements Driver {
  readonly name = "io_uring";
  readonly buffers: Buffers;
  woke: () => void = () => {};
  readonly #ring: Ring;
  readonly #provided: ProvidedBuffers;
  readonly #sender: Sender;
  readonly bulkBytes = BULK_BYTES;
  readonly #sockets = new SocketTable();
  readonly #splicer: Splicer;
  /** Made when the first datagram socket is. */
  #datagramTable: DatagramTable | null = null;
  readonly #listenings: (UringListening | null)[] = [];
  readonly #watches: (Watch | null)[] = [];
  /** Places that the kernel has answered for the last time. */
  readonly #freeWatches: number[] = [];
  /** By descriptor, of those that are active. */
  readonly #watchOf = new Map<Fd, number>();
  /** Sockets whose receive ended for want of buffers. */
  #starved: Socket[] = [];
  /** No more of this turn's completions. */
  #turnEnded = false;

  constructor(arena: Arena) {
    this.buffers = arena.buffers;
    this.#ring = new Ring(SUBMISSION_ENTRIES, COMPLETION_ENTRIES);
    this.#provided = new ProvidedBuffers(this.#ring.fd, arena, PROVIDED_ENTRIES);
    this.#ring.enable();
    this.#sender = new Sender(this.#ring, arena, KIND_SEND);
    this.#splicer = new Splicer(this.#ring, KIND_READABLE, KIND_WRITABLE, (socket) => this.#armReceive(socket));
  }

  accept(fd: Fd, handler: AcceptHandler): Listening {
    setBlocking(fd, true);
    const listening: UringListening = { fd, handler, index: this.#listenings.length, active: true, sweeps: 0 };
    this.#listenings.push(listening);
    this.#armAccept(listening, ACCEPT_MULTISHOT);
    return listening;
  }

  stopAccept(listening: Listening): void {
    const mine = this.#listenings.find((one) => one === listening);
    if (mine === undefined || mine === null || !mine.active) return;
    mine.active = false;
    const at = this.#ring.prepare(OP_ASYNC_CANCEL, -1, 0, KIND_IGNORE);
    this.#ring.sqe[at + 4] = mine.index;
    this.#ring.sqe[at + 5] = KIND_ACCEPT;
  }

  connect(address: Uint8Array, handler: SocketHandler, local?: Uint8Array): Socket {
    const socket = this.#sockets.take(-1);
    socket.handler = handler;
    socket.connecting = true;
    const family = (address[0] as number) | ((address[1] as number) << 8);
    const fd = blockingStream(family);
    if (fd < 0) {
      this.#sockets.fail(socket, -fd);
      return socket;
    }
    const error = local === undefined ? 0 : bindLocal(fd, local);
    if (error !== 0) {
      closeDescriptor(fd);
      this.#sockets.fail(socket, error);
      return socket;
    }
    socket.fd = fd;
    const at = this.#ring.prepare(OP_CONNECT, fd, socket.index, KIND_CONNECT);
    this.#sender.writeAddress(at, address);
    socket.pending++;
    return socket;
  }

  adopt(fd: Fd, handler: SocketHandler): Socket {
    setBlocking(fd, true);
    const socket = this.#sockets.take(fd);
    socket.handler = handler;
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
    if (!socket.receiveArmed && !socket.connecting) this.#receiveOn(socket);
  }

  stopReceive(socket: Socket): void {
    if (!socket.receiving) return;
    socket.receiving = false;
    if (socket.receiveArmed) this.#cancelReceive(socket);
  }

  splice(from: Socket, to: Socket, handler: SpliceHandler): void {
    if (!this.#splicer.begin(from, to, handler)) return;
    if (from.receiveArmed) this.#cancelReceive(from);
    else this.#splicer.goOn(from.splicedTo);
  }

  send(socket: Socket, buffer: number, start: number, end: number): void {
    if (socket.fd < 0 || end <= start) return;
    pushRegion(socket, this.buffers, buffer, start, end);
    if (!socket.sendArmed && !socket.connecting) this.#sender.arm(socket);
  }

  queuedBytes(socket: Socket): number {
    return socket.queuedBytes;
  }

  shutdown(socket: Socket): void {
    if (socket.fd < 0 || socket.shutdownWanted) return;
    socket.shutdownWanted = true;
    if (socket.queuedBytes === 0 && !socket.connecting) sendFin(socket);
  }

  close(socket: Socket): void {
    if (socket.fd < 0 && socket.handler === null) return;
    socket.handler = null;
    socket.receiving = false;
    this.#splicer.end(socket.splicedTo);
    this.#splicer.end(socket.splicedFrom);
    if (!socket.sendArmed) clearRegions(socket, this.buffers);
    if (socket.fd < 0) {
      if (!socket.connecting) this.#recycle(socket);
      return;
    }
    if (socket.pending > 0) {
      const cancel = this.#ring.prepare(OP_ASYNC_CANCEL, socket.fd, socket.index, KIND_SETTLE);
      this.#ring.sqe[cancel + 7] = CANCEL_ALL | CANCEL_FD;
      socket.pending++;
    }
    this.#ring.prepare(OP_CLOSE, socket.fd, socket.index, KIND_SETTLE);
    socket.pending++;
    socket.fd = -1;
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
    const watch: Watch = { fd, ready, active: true };
    const index = this.#freeWatches.pop() ?? this.#watches.length;
    this.#watches[index] = watch;
    this.#watchOf.set(fd, index);
    this.#armWatch(watch, index);
  }

  unwatch(fd: Fd): void {
    const index = this.#watchOf.get(fd);
    const watch = index === undefined ? undefined : this.#watches[index];
    if (index === undefined || watch === undefined || watch === null) return;
    this.#watchOf.delete(fd);
    watch.active = false;
    const at = this.#ring.prepare(OP_ASYNC_CANCEL, -1, 0, KIND_IGNORE);
    this.#ring.sqe[at + 4] = index;
    this.#ring.sqe[at + 5] = KIND_WATCH;
  }

  turn(waitMs: number): number {
    if (this.#provided.refill() && this.#starved.length > 0) this.#feedStarved();
    if (this.#sockets.hasFailed) return this.#sockets.reportFailed();
    const ring = this.#ring;
    ring.enter(waitMs);
    if (waitMs !== 0) this.woke();
    const words = ring.words;
    const mask = ring.cqMask;
    const tail = ring.completionTail;
    let head = ring.completionHead;
    ring.passed = head;
    let count = 0;
    this.#turnEnded = false;
    while (head !== tail && !this.#turnEnded) {
      const at = ring.cqes + ((head & mask) << 2);
      head = (head + 1) | 0;
      count++;
      ring.passed = head;
      this.#dispatch(words[at + 1] as number, words[at] as number, words[at + 2] as number, words[at + 3] as number);
    }
    ring.consume(head);
    return count;
  }

  endTurn(): void {
    this.#turnEnded = true;
  }

  dispose(): void {
    this.#datagramTable?.dispose();
    closeDescriptor(this.#ring.fd);
    this.#provided.dispose();
    this.#sender.dispose();
    this.#ring.dispose();
  }

  #dispatch(kind: number, index: number, result: number, flags: number): void {
    switch (kind) {
      case KIND_RECEIVE:
        this.#received(this.#sockets.at(index), result, flags);
        break;
      case KIND_SEND:
        this.#sent(this.#sockets.at(index), result);
        break;
      case KIND_ACCEPT:
        this.#accepted(index, result, flags);
        break;
      case KIND_CONNECT:
        this.#connected(this.#sockets.at(index), result);
        break;
      case KIND_READABLE:
        this.#spliceReady(this.#sockets.at(index), true);
        break;
      case KIND_WRITABLE:
        this.#spliceReady(this.#sockets.at(index), false);
        break;
      case KIND_SETTLE:
        this.#settle(this.#sockets.at(index));
        break;
      case KIND_WATCH:
        this.#watched(index);
        break;
      default:
        break;
    }
  }

  #received(socket: Socket, result: number, flags: number): void {
    const handler = socket.handler;
    if ((flags & CQE_F_BUFFER) !== 0) {
      const buffer = flags >>> 16;
      this.#provided.taken();
      if (handler !== null && result > 0) {
        const start = buffer * BUFFER_BYTES;
        socket.receivedBytes += result;
        handler.onReceive(socket, buffer, start, start + result);
      }
      this.buffers.release(buffer);
    }
    if ((flags & CQE_F_MORE) !== 0) return;
    socket.receiveArmed = false;
    socket.pending--;
    if (socket.handler === null) {
      this.#recycle(socket);
      return;
    }
    if (result === 0) {
      socket.receiving = false;
      this.#splicer.end(socket.splicedTo);
      socket.handler.onEnd(socket);
    } else if (result === -ENOBUFS && socket.splicedTo === null) {
      if (socket.receiving) this.#starved.push(socket);
    } else if (result > 0 || result === -ECANCELED || result === -ENOBUFS) {
      if (socket.receiving) this.#receiveOn(socket);
    } else {
      socket.receiving = false;
      socket.handler.onError(socket, -result);
    }
  }

  #sent(socket: Socket, result: number): void {
    socket.sendArmed = false;
    socket.pending--;
    const handler = socket.handler;
    if (handler === null) {
      clearRegions(socket, this.buffers);
      this.#recycle(socket);
      return;
    }
    if (result < 0) {
      clearRegions(socket, this.buffers);
      handler.onError(socket, -result);
      return;
    }
    this.#sender.consume(socket, result);
    if (socket.queueLength > 0) {
      this.#sender.arm(socket);
      return;
    }
    this.#splicer.goOn(socket.splicedFrom);
    if (socket.shutdownWanted) sendFin(socket);
    handler.onSent(socket);
  }

  #accepted(index: number, result: number, flags: number): void {
    const listening = this.#listenings[index];
    if (listening === null || listening === undefined) return;
    if (result >= 0) listening.handler.onAccept(this.#sockets.take(result));
    if ((flags & CQE_F_MORE) !== 0) return;
    if (result < 0 && result !== -ECANCELED && listening.active) {
      this.#listenings[index] = null;
      listening.handler.onAcceptError(-result);
    } else if (listening.active) {
      this.#armAccept(listening, ACCEPT_MULTISHOT);
    } else if (listening.sweeps === 0 || (result >= 0 && listening.sweeps < QUEUE_MAX)) {
      // A connection wakes one of those who wait for it: those that woke us, and were not taken, nobody else was told of. One at a
      // time: a multishot that is not to wait does wait, once it has taken one.
      listening.sweeps++;
      this.#armAccept(listening, ACCEPT_DONTWAIT);
    } else {
      this.#listenings[index] = null;
      listening.handler.onAcceptEnd();
    }
  }

  #connected(socket: Socket, result: number): void {
    socket.connecting = false;
    socket.pending--;
    if (socket.handler === null) {
      this.#recycle(socket);
      return;
    }
    if (result === 0) this.#armConnected(socket);
    socket.handler.onConnect(socket, -result);
  }

  /** What was asked for while the connect was under way. */
  #armConnected(socket: Socket): void {
    if (socket.receiving) this.#armReceive(socket);
    if (socket.queueLength > 0) this.#sender.arm(socket);
    else if (socket.shutdownWanted) sendFin(socket);
  }

  #watched(index: number): void {
    const watch = this.#watches[index];
    if (watch === null || watch === undefined) return;
    if (watch.active) {
      watch.ready();
      if (watch.active) {
        this.#armWatch(watch, index);
        return;
      }
    }
    this.#watches[index] = null;
    this.#freeWatches.push(index);
  }

  #settle(socket: Socket): void {
    socket.pending--;
    if (socket.handler === null) this.#recycle(socket);
  }

  #recycle(socket: Socket): void {
    if (socket.pending === 0 && socket.fd < 0) this.#sockets.give(socket);
  }

  #armAccept(listening: UringListening, flags: number): void {
    const at = this.#ring.prepare(OP_ACCEPT, listening.fd, listening.index, KIND_ACCEPT);
    this.#ring.sqe[at + 7] = SOCK_CLOEXEC;
    this.#ring.sqe16[(at << 1) + 1] = flags;
  }

  #armReceive(socket: Socket): void {
    const at = this.#ring.prepare(OP_RECV, socket.fd, socket.index, KIND_RECEIVE);
    this.#ring.sqe8[(at << 2) + 1] = SQE_BUFFER_SELECT;
    this.#ring.sqe16[(at << 1) + 1] = RECV_MULTISHOT;
    this.#ring.sqe16[(at << 1) + 20] = BUFFER_GROUP;
    socket.receiveArmed = true;
    socket.pending++;
  }

  /** By receives, or within the kernel. */
  #receiveOn(socket: Socket): void {
    if (socket.splicedTo === null) this.#armReceive(socket);
    else this.#splicer.goOn(socket.splicedTo);
  }

  #cancelReceive(socket: Socket): void {
    const at = this.#ring.prepare(OP_ASYNC_CANCEL, -1, socket.index, KIND_SETTLE);
    this.#ring.sqe[at + 4] = socket.index;
    this.#ring.sqe[at + 5] = KIND_RECEIVE;
    socket.pending++;
  }

  #spliceReady(socket: Socket, readable: boolean): void {
    socket.pending--;
    if (socket.handler === null) this.#recycle(socket);
    else this.#splicer.ready(readable ? socket.splicedTo : socket.splicedFrom, readable);
  }

  #armWatch(watch: Watch, index: number): void {
    const at = this.#ring.prepare(OP_POLL_ADD, watch.fd, index, KIND_WATCH);
    this.#ring.sqe[at + 7] = POLLIN;
  }

  #feedStarved(): void {
    const waiting = this.#starved;
    this.#starved = [];
    for (const socket of waiting) {
      // It may be another connection by now, one that is armed when it is connected.
      const wants = socket.handler !== null && socket.receiving && !socket.connecting;
      if (wants && !socket.receiveArmed) this.#receiveOn(socket);
    }
  }
}
