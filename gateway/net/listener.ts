/**
 * A listening socket in service: every accepted socket becomes a Connection with who it comes from. The descriptor is
 * the supervisor's; this worker only accepts from it, until `stop`.
 */
import { familyOf, formatIp, ipOf, portOf } from "#core/address.ts";
import type { Fd } from "#core/brands.ts";
import type { AcceptHandler, Listening } from "#io/driver.ts";
import type { Loop } from "#io/loop.ts";
import type { Socket } from "#io/socket.ts";
import type { Timed } from "#io/timers.ts";
import { AF_UNIX } from "#sys/socket.ts";
import { Connection } from "./connection.ts";
import type { WriteGather } from "./gather.ts";

/** Who is at the other end. */
export interface Peer {
  /** `203.0.113.7`, `2001:db8::7`; empty for a Unix socket. */
  readonly ip: string;
  /** The same as 16 bytes, IPv4 mapped; zeros for a Unix socket. */
  readonly ipBytes: Uint8Array;
  readonly port: number;
  /** struct sockaddr as the kernel gave it. */
  readonly address: Uint8Array;
  /** Where the client connected to, when a proxy in front has told: a struct sockaddr. */
  readonly destination?: Uint8Array | null;
}

export interface ConnectionHandler {
  /** A client has connected. The handler gives it a protocol, or closes it. */
  onConnection(connection: Connection, socket: Socket, peer: Peer): void;
}

/** After an accept that failed for want of descriptors or memory, how long until the next try. */
const RETRY_MS = 100;

export class Listener implements AcceptHandler, Timed {
  readonly name: string;
  readonly fd: Fd;
  readonly #loop: Loop;
  readonly #gather: WriteGather;
  /** Of connections from now on. */
  handler: ConnectionHandler;
  #listening: Listening | null = null;
  /** Between `stop` and the driver's last word about it. */
  #ending = false;
  #left: (() => void) | null = null;
  /** Accepts that failed, by want of descriptors mostly. */
  acceptErrors = 0;
  deadlineMs = Number.POSITIVE_INFINITY;
  wheelSlot = -1;
  wheelNext: Timed | null = null;
  wheelPrev: Timed | null = null;

  constructor(name: string, fd: Fd, loop: Loop, gather: WriteGather, handler: ConnectionHandler) {
    this.name = name;
    this.fd = fd;
    this.#loop = loop;
    this.#gather = gather;
    this.handler = handler;
  }

  start(): void {
    this.#listening = this.#loop.driver.accept(this.fd, this);
  }

  /** Accepts no more, but for what waits at this moment; what the kernel queues later is for the next owner of the socket. */
  stop(): void {
    this.#loop.timers.forget(this);
    if (this.#listening === null) return;
    this.#loop.driver.stopAccept(this.#listening);
    this.#listening = null;
    this.#ending = true;
  }

  /** After `stop`: `close` once no connection can come any more; some may until then. */
  leave(close: () => void): void {
    if (this.#ending) this.#left = close;
    else close();
  }

  onAcceptEnd(): void {
    this.#ending = false;
    this.#left?.();
    this.#left = null;
  }

  onAccept(socket: Socket): void {
    const connection = new Connection(this.#loop, this.#gather);
    connection.adopt(socket, null);
    const address = this.#loop.driver.peerAddress(socket);
    if (address === null) connection.close();
    else this.handler.onConnection(connection, socket, peerOf(address));
  }

  onAcceptError(_error: number): void {
    this.acceptErrors++;
    this.#listening = null;
    this.deadlineMs = this.#loop.nowMs + RETRY_MS;
    this.#loop.timers.watch(this);
  }

  onDeadline(): void {
    this.start();
  }
}

function peerOf(address: Uint8Array): Peer {
  const ipBytes = ipOf(address);
  const ip = familyOf(address) === AF_UNIX ? "" : formatIp(ipBytes);
  return { ip, ipBytes, port: portOf(address), address };
}
