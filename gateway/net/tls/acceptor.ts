/**
 * Accepted connections of a TLS listener: the ClientHello is gathered and read, the certificate chosen, the handshake driven within
 * its time; then the connection goes to whoever serves plaintext, which does not see the difference.
 *
 * Bounds: `handshakesMax` handshakes at a time in a worker (what comes beyond is closed at once), `handshakeTimeoutMs` for
 * each, and for the ClientHello one buffer, only while it is incomplete.
 */
import type { Socket } from "#io/socket.ts";
import { Carry } from "#net/carry.ts";
import type { Connection, Protocol } from "#net/connection.ts";
import type { ConnectionHandler, Peer } from "#net/listener.ts";
import { alpnOf, peerCertificateOf, versionOf, wasResumed } from "#sys/openssl-session.ts";
import { HELLO_MORE } from "./client-hello.ts";
import { fingerprintOf, peerCertificate, type PeerCertificate } from "./peer.ts";
import type { TlsRecords } from "./records.ts";
import { refusalOfHello, type TlsRefusal } from "./refusals.ts";
import type { ServerTls } from "./server-tls.ts";
import { TlsTransport, type HandshakeOwner } from "./transport.ts";

/** How long a client may take to read that it should have used https. */
const EXPLAIN_MS = 1000;

export interface TlsAcceptorOptions {
  readonly records: TlsRecords;
  /** Requests say how long they are, so a client may end by FIN alone; and who sends one in plaintext is told. Else a FIN without close_notify is a cut. */
  readonly speaksHttp: boolean;
  /** In force now. */
  settings(): ServerTls;
  /** Counts a handshake's connection among the client's; false: it is banned, or one too many, and none is counted. */
  admit(peer: Peer): boolean;
  /** It is the next handler's to count, or gone. */
  left(peer: Peer): void;
  /** Memory is needed for what is under way. */
  isShort(): boolean;
  /** A line for the operator, for what configuration can mend. */
  refused(peer: Peer, reason: TlsRefusal, detail: string): void;
}

export class TlsAcceptor implements ConnectionHandler {
  readonly #options: TlsAcceptorOptions;
  readonly #next: ConnectionHandler;

  constructor(options: TlsAcceptorOptions, next: ConnectionHandler) {
    this.#options = options;
    this.#next = next;
  }

  onConnection(connection: Connection, socket: Socket, peer: Peer): void {
    const { records } = this.#options;
    const tls = this.#options.settings();
    if (records.handshakes >= tls.options.handshakesMax || this.#options.isShort()) {
      records.counters.refused(this.#options.isShort() ? "no-memory" : "too-many-handshakes");
      connection.close();
      return;
    }
    if (!this.#options.admit(peer)) {
      // Counted and closed there, before a byte is read.
      this.#next.onConnection(connection, socket, peer);
      return;
    }
    new ServerHandshake(this.#options, tls, connection, socket, peer, this.#next).start();
  }
}

class ServerHandshake implements Protocol, HandshakeOwner {
  readonly #options: TlsAcceptorOptions;
  /** In force when the connection began; from the ClientHello on, what was in force then. */
  #tls: ServerTls;
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #peer: Peer;
  readonly #next: ConnectionHandler;
  readonly #carry: Carry;
  #serverName = "";
  #done = false;

  constructor(
    options: TlsAcceptorOptions,
    tls: ServerTls,
    connection: Connection,
    socket: Socket,
    peer: Peer,
    next: ConnectionHandler,
  ) {
    this.#options = options;
    this.#tls = tls;
    this.#connection = connection;
    this.#socket = socket;
    this.#peer = peer;
    this.#next = next;
    this.#carry = new Carry(connection.buffers);
  }

  start(): void {
    this.#options.records.handshakes++;
    this.#connection.protocol = this;
    this.#connection.resume();
    // A PROXY header has had part of the time.
    const untilMs = this.#connection.loop.nowMs + this.#tls.options.handshakeTimeoutMs;
    this.#connection.expireBy(Math.min(this.#connection.deadlineMs, untilMs));
  }

  onConnected(): void {}

  /** Until the ClientHello is whole; from then on bytes go to the transport. */
  onBytes(buffer: number, start: number, end: number): void {
    const carry = this.#carry;
    let from = start;
    let to = end;
    let behind = end;
    if (carry.active) {
      const copied = carry.append(start, end);
      behind = start + copied;
      from = carry.start;
      to = carry.end;
    }
    const { hello } = this.#options.records;
    const verdict = hello.read(this.#connection.memory, from, to);
    if (verdict > 0) this.#begin(buffer, from, to, behind, end);
    else if (verdict !== HELLO_MORE) this.#refuse(refusalOfHello(verdict));
    else if (!carry.active && carry.append(start, end) < 0) this.#refuse("no-memory");
    else if (behind < end) this.#refuse("hello-too-long");
  }

  onEnd(): void {
    this.#refuse("closed");
  }

  onDrained(): void {}

  onBroken(): void {
    this.#refuse("closed");
  }

  onDeadline(nowMs: number): void {
    if (nowMs >= this.#connection.deadlineMs) this.#refuse("timeout");
  }

  onEstablished(transport: TlsTransport): void {
    const { counters } = this.#options.records;
    const { ssl } = transport;
    const certificate = this.#admitted(transport);
    if (certificate === undefined) return;
    counters.handshakes++;
    if (wasResumed(ssl)) counters.resumed++;
    this.#end();
    this.#connection.tls = { version: versionOf(ssl), serverName: this.#serverName, alpn: alpnOf(ssl), certificate };
    this.#connection.protocol = null;
    this.#connection.deadlineMs = Number.POSITIVE_INFINITY;
    this.#next.onConnection(this.#connection, this.#socket, this.#peer);
  }

  onHandshakeFailed(reason: TlsRefusal, detail: string): void {
    if (reason === "certificate" || reason === "version" || reason === "cipher" || reason === "alpn") {
      this.#options.refused(this.#peer, reason, detail);
    }
    this.#refuse(reason);
  }

  /** Null: there is none, and none is needed. Undefined: it is not one of those that are let in, and the connection is closed. */
  #admitted({ ssl }: TlsTransport): PeerCertificate | null | undefined {
    if (this.#tls.options.clientAuth === "none") return null;
    const der = peerCertificateOf(ssl);
    if (der === null) return null;
    const fingerprint = fingerprintOf(der);
    if (this.#tls.admits(fingerprint)) return peerCertificate(der);
    this.#options.refused(this.#peer, "fingerprint", fingerprint);
    this.#refuse("fingerprint");
    return undefined;
  }

  /** `[from, to)` begins with the ClientHello; `[behind, end)` of `buffer` did not fit behind it. */
  #begin(buffer: number, from: number, to: number, behind: number, end: number): void {
    const { records } = this.#options;
    const { hello } = records;
    this.#serverName = hello.serverName;
    this.#tls = this.#options.settings();
    const choice = this.#tls.choose(hello.serverName);
    if (choice === null) {
      this.#refuse("closed");
      return;
    }
    const ssl = records.io.create(choice.context, "server");
    if (ssl === 0) {
      this.#refuse("no-memory");
      return;
    }
    const answers = { alpn: this.#tls.alpn(hello.alpn), ocsp: choice.ocsp };
    const transport = new TlsTransport(records, this.#connection, this.#socket, ssl, "server", answers, this);
    transport.trustsFin = this.#options.speaksHttp;
    const owned = this.#carry.detach();
    transport.onReceive(this.#socket, owned < 0 ? buffer : owned, from, to);
    if (owned >= 0) this.#connection.buffers.release(owned);
    if (behind < end && this.#connection.open) transport.onReceive(this.#socket, buffer, behind, end);
  }

  #refuse(reason: TlsRefusal): void {
    if (this.#done) return;
    this.#end();
    this.#carry.clear();
    this.#options.records.counters.refused(reason);
    if (reason === "plain-http" && this.#options.speaksHttp) explain(this.#connection);
    else this.#connection.close();
  }

  #end(): void {
    this.#done = true;
    this.#options.records.handshakes--;
    this.#options.left(this.#peer);
  }
}

/** RFC 9110 §15.5.1, in plaintext, since that is what the client speaks. */
const PLAIN_HTTP_ANSWER = Buffer.from(
  "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 34\r\n\r\nThis port speaks TLS: use https.\r\n",
);

function explain(connection: Connection): void {
  const at = connection.reserve(PLAIN_HTTP_ANSWER.length);
  if (at < 0) {
    connection.close();
    return;
  }
  connection.memory.set(PLAIN_HTTP_ANSWER, at);
  connection.commit(at + PLAIN_HTTP_ANSWER.length);
  connection.linger(EXPLAIN_MS);
}
