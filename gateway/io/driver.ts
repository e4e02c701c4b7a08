/**
 * What the data plane asks of the operating system, as completions. Three implementations: io_uring, epoll, and the
 * seeded fake that simulation uses; one contract suite runs over all of them (test/contract).
 *
 * Rules every driver keeps, and the suite checks:
 *  - callbacks happen only inside `turn`, never inside the call that asked;
 *  - after `close(socket)` no callback reaches that socket again, and its queued sends release their buffers;
 *  - `send` keeps order, takes any number of regions, retains each buffer until its bytes are in the kernel, and reports
 *    once, by `onSent`, when the whole queue has drained;
 *  - receiving is started and stopped explicitly; bytes already received when it is stopped may still be delivered;
 *  - a driver out of buffers stops receiving by itself and resumes as buffers come back: nothing is lost.
 */
import type { Fd } from "#core/brands.ts";
import type { Buffers } from "./buffers.ts";
import type { DatagramHandler, DatagramSocket } from "./datagram.ts";
import type { Socket, SocketHandler } from "./socket.ts";
import type { SpliceHandler } from "./splice.ts";

/** Accepts on a listening socket. */
export interface AcceptHandler {
  /** A new connected socket, not yet receiving; set `socket.handler`, then `startReceive`. */
  onAccept(socket: Socket): void;
  /** Accepting failed (EMFILE, ENFILE, ENOBUFS, ENOMEM, …) and has ended: call `accept` again after a while. */
  onAcceptError(error: number): void;
  /** After `stopAccept`, once: what the kernel had accepted for us by then has been told, and the descriptor is free. */
  onAcceptEnd(): void;
}

/** A running accept, to be stopped by `stopAccept`. */
export interface Listening {
  readonly fd: Fd;
}

export interface Driver {
  readonly name: "io_uring" | "epoll" | "fake";
  readonly buffers: Buffers;
  /** Set by the loop: called in a turn that was to wait, before what has come is dispatched. Its clock stood still. */
  woke?: () => void;

  /** Accepts from a listening, non-blocking socket until stopped. The descriptor stays the caller's. */
  accept(fd: Fd, handler: AcceptHandler): Listening;
  /**
   * Takes no more from the queue, but for what waits in it at this moment: others who accept from the same socket may not have been woken for
   * that. They are told as ever, since closing them would cut clients off. `onAcceptEnd` follows.
   */
  stopAccept(listening: Listening): void;

  /**
   * A new non-blocking TCP or Unix socket that starts to connect to `address` (a struct sockaddr, copied), from `local`, where it
   * is given: an address with port 0. Never throws: a failure reaches `onConnect`.
   */
  connect(address: Uint8Array, handler: SocketHandler, local?: Uint8Array): Socket;

  /** A connected stream socket that somebody else has made. The descriptor is the driver's from now on. Not yet receiving. */
  adopt(fd: Fd, handler: SocketHandler): Socket;

  /** Who is at the other end: a fresh struct sockaddr; null when the peer has already gone. */
  peerAddress(socket: Socket): Uint8Array | null;
  /** Where it is at this end: a fresh struct sockaddr. */
  localAddress(socket: Socket): Uint8Array;

  startReceive(socket: Socket): void;
  stopReceive(socket: Socket): void;

  /** Queues bytes `[start, end)` of `buffers.memory`; retains `buffer` until they are in the kernel. */
  send(socket: Socket, buffer: number, start: number, end: number): void;
  /**
   * What `from` receives from now on may go to `to` without being seen, behind all that was received and sent before. The end of
   * `from`, and errors of both, are told as ever, and `stopReceive` stops it; nothing else may be sent on `to` meanwhile. A
   * driver is free not to, and to go back to `onReceive` at any time.
   */
  splice(from: Socket, to: Socket, handler: SpliceHandler): void;
  /** Bytes after which a direction is worth it. */
  readonly bulkBytes: number;
  /** Bytes queued by `send`, or spliced, and not yet in the kernel: the watermark's figure. */
  queuedBytes(socket: Socket): number;
  /** Sends FIN once the queue has drained. */
  shutdown(socket: Socket): void;
  /** Ends both directions now and gives the descriptor back. */
  close(socket: Socket): void;
  /** The same by RST: the peer must not take what it has for the whole. What is queued is lost. */
  reset(socket: Socket): void;
  /**
   * Bytes the peer has acknowledged since the connection began; below 0 where nobody counts them (Unix sockets). A system
   * call: for who wonders whether a peer that seems to stand still moves.
   */
  acknowledgedBytes(socket: Socket): number;

  /** Receives the datagrams of a bound socket. The descriptor stays the caller's. */
  datagrams(fd: Fd, handler: DatagramHandler): DatagramSocket;
  /** A new datagram socket, connected to `address`, from `local`, where it is given; or −errno. */
  connectDatagrams(address: Uint8Array, handler: DatagramHandler, local?: Uint8Array): DatagramSocket | number;

  /** Calls back, within `turn`, whenever `fd` is readable (level-triggered), until `unwatch`: libuv's own descriptor, tickets, tests. */
  watch(fd: Fd, ready: () => void): void;
  unwatch(fd: Fd): void;

  /**
   * Submits what is queued, waits up to `waitMs` (−1: without bound, 0: not at all) for at least one completion, and
   * dispatches all that have come. Answers how many were dispatched.
   */
  turn(waitMs: number): number;
  /**
   * What has come and is not dispatched yet is left for the next turn, so that what this one has asked for reaches the kernel now. For
   * who has just worked long: a signature takes as long as ten requests, and a turn may bring many.
   */
  endTurn(): void;

  /** Frees the kernel side. All sockets must be closed before. */
  dispose(): void;
}
