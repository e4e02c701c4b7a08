/**
 * In front of a listener's protocol: takes the PROXY header off each connection, and hands the connection on with the
 * client and destination that it names. Bytes behind the header go the way they would have gone.
 *
 * Who is not trusted is refused, header or not. Clients of a Unix socket are trusted: its file's mode says who they are.
 */
import { familyOf, formatIp, ipOf, parsePrefix, portOf, prefixContains, type Prefix } from "#core/address.ts";
import type { Socket } from "#io/socket.ts";
import { Carry } from "#net/carry.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { decodeProxyHeader } from "./decode.ts";
import type { Decoded, ProxyHeader } from "./header.ts";

/** sa_family of a Unix socket. Source: include/linux/socket.h. */
const AF_UNIX = 1;

export interface ProxyReceiverOptions {
  readonly trusted: readonly string[];
  /** False: a connection may begin without a header. */
  readonly required: boolean;
  /** Of connections from now on. */
  timeoutMs(): number;
}

/** Counts and drains, for whoever owns the listener. */
export interface ProxyReceiverEvents {
  /** A connection waits for its header; `close` ends it when the worker leaves. */
  waiting(one: PendingHeader): void;
  /** It is handed on, or gone. */
  settled(one: PendingHeader): void;
  accepted(): void;
  refused(why: string): void;
}

export interface PendingHeader {
  drain(gently: boolean): void;
  expel(banned: (ipBytes: Uint8Array) => boolean): void;
}

export class ProxyReceiver implements ConnectionHandler {
  readonly #inner: ConnectionHandler;
  readonly #events: ProxyReceiverEvents;
  readonly #options: ProxyReceiverOptions;
  readonly #trusted: readonly Prefix[];

  constructor(inner: ConnectionHandler, options: ProxyReceiverOptions, events: ProxyReceiverEvents) {
    this.#inner = inner;
    this.#events = events;
    this.#options = options;
    this.#trusted = options.trusted.map((text) => parsePrefix(text));
  }

  onConnection(connection: Connection, socket: Socket, peer: Peer): void {
    const unix = familyOf(peer.address) === AF_UNIX;
    if (!unix && !this.#trusted.some((prefix) => prefixContains(prefix, peer.ipBytes))) {
      this.#events.refused("untrusted");
      connection.reset();
      return;
    }
    const header = new HeaderReader(connection, socket, peer, this.#inner, this.#options, this.#events);
    connection.protocol = header;
    this.#events.waiting(header);
    connection.resume();
    connection.expireBy(connection.loop.nowMs + this.#options.timeoutMs());
  }
}

class HeaderReader implements Protocol, PendingHeader {
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #inner: ConnectionHandler;
  readonly #options: ProxyReceiverOptions;
  readonly #events: ProxyReceiverEvents;
  readonly #carry: Carry;

  constructor(
    connection: Connection,
    socket: Socket,
    peer: Peer,
    inner: ConnectionHandler,
    options: ProxyReceiverOptions,
    events: ProxyReceiverEvents,
  ) {
    this.#connection = connection;
    this.#socket = socket;
    this.#peer = peer;
    this.#inner = inner;
    this.#options = options;
    this.#events = events;
    this.#carry = new Carry(connection.buffers);
  }

  drain(gently: boolean): void {
    // Its header is on the way, and the time for that is bounded.
    if (gently) return;
    this.#leave();
    this.#connection.close();
  }

  expel(banned: (ipBytes: Uint8Array) => boolean): void {
    if (banned(this.#peer.ipBytes)) this.#connection.expel();
  }

  onConnected(): void {}

  onBytes(buffer: number, start: number, end: number): void {
    const carry = this.#carry;
    if (!carry.active) {
      const decoded = decodeProxyHeader(this.#connection.memory, start, end);
      if (decoded.kind !== "more") {
        this.#settle(decoded, buffer, start, end);
        return;
      }
    }
    // The longest header fits into half of the carried buffer, so what does not fit lies behind a header that is whole.
    const before = carry.end - carry.start;
    const wasEmpty = !carry.active;
    if (carry.append(start, end) < 0) {
      this.#refuse("no-buffers");
      return;
    }
    const seen = wasEmpty ? 0 : before;
    const decoded = decodeProxyHeader(this.#connection.memory, carry.start, carry.end);
    if (decoded.kind === "more") return;
    if (decoded.kind === "header") {
      const behind = start + decoded.bytes - seen;
      carry.clear();
      this.#handOn(decoded.header, buffer, behind, end);
      return;
    }
    this.#settleCarried(decoded, buffer, start, end, seen);
  }

  /** A header, or why not, found in bytes that came in one piece. */
  #settle(decoded: Decoded, buffer: number, start: number, end: number): void {
    if (decoded.kind === "header") this.#handOn(decoded.header, buffer, start + decoded.bytes, end);
    else if (decoded.kind === "none" && !this.#options.required) this.#handOn(null, buffer, start, end);
    else this.#refuse(decoded.kind === "refused" ? decoded.reason : "no-header");
  }

  /** No header after all: what was carried before goes on first. */
  #settleCarried(decoded: Decoded, buffer: number, start: number, end: number, seen: number): void {
    if (decoded.kind !== "none" || this.#options.required) {
      this.#settle(decoded, buffer, start, end);
      return;
    }
    const from = this.#carry.start;
    const owned = this.#carry.detach();
    this.#handOn(null, owned, from, from + seen);
    this.#connection.buffers.release(owned);
    if (this.#connection.socket === this.#socket) this.#connection.onReceive(this.#socket, buffer, start, end);
  }

  #handOn(header: ProxyHeader | null, buffer: number, start: number, end: number): void {
    const connection = this.#connection;
    this.#leave();
    // As it was accepted: the protocol that comes says when it wants to receive.
    connection.pause();
    connection.protocol = null;
    // Nobody watches it any more; TLS, which shares the time that a client has, reads it.
    connection.loop.timers.forget(connection);
    if (header !== null) this.#events.accepted();
    this.#inner.onConnection(connection, this.#socket, peerBehind(this.#peer, header));
    if (start < end && connection.socket === this.#socket) {
      connection.onReceive(this.#socket, buffer, start, end);
    }
  }

  onEnd(): void {
    this.#refuse("cut");
  }

  onDrained(): void {}

  onBroken(): void {
    this.#leave();
  }

  onDeadline(): void {
    this.#refuse("timeout");
  }

  #refuse(why: string): void {
    this.#leave();
    this.#events.refused(why);
    this.#connection.reset();
  }

  #leave(): void {
    this.#carry.clear();
    this.#events.settled(this);
  }
}

/** Who the client is. Where the header names nobody, it is who has connected. */
function peerBehind(peer: Peer, header: ProxyHeader | null): Peer {
  if (header === null || header.source === null) return peer;
  const ipBytes = ipOf(header.source);
  return {
    ip: formatIp(ipBytes),
    ipBytes,
    port: portOf(header.source),
    address: header.source,
    destination: header.destination,
  };
}
