/**
 * TLS between a socket and its connection: ciphertext on the socket's side, plaintext on the connection's. Neither knows: to the
 * driver this is the socket's handler, to the connection it is the transport.
 *
 *     HANDSHAKE ─▶ OPEN ─▶ CLOSING (close_notify and FIN on their way) ─▶ closed
 *         └──────────┴──────────────▶ closed
 *
 * Back-pressure is the socket's: what is queued is ciphertext and is counted there, and who stops receiving stops the
 * socket. A received buffer is decrypted whole even then, as a plain one would be delivered whole.
 *
 * Owns the SSL from construction until it is closed, one way or another.
 */
import { ECONNRESET, ENOBUFS, EPROTO } from "#core/errno.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Socket, SocketHandler } from "#io/socket.ts";
import { Alarm } from "#net/alarm.ts";
import type { Connection } from "#net/connection.ts";
import type { Transport } from "#net/transport.ts";
import { answerWith, type HandshakeAnswers } from "#sys/openssl-callbacks.ts";
import { ENDED, FAILED, WANTS_MORE, type Ssl } from "#sys/openssl-connection.ts";
import { clearErrors, takeError } from "#sys/openssl-errors.ts";
import { versionOf } from "#sys/openssl-session.ts";
import type { TlsRecords } from "./records.ts";
import type { TlsRefusal } from "./refusals.ts";

const HANDSHAKE = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** The plaintext of one record (RFC 8446 §5.1): less room than this would leave part of it inside OpenSSL. */
const RECORD_BYTES = 16_384;
/** Ciphertext that may come without a byte of data in it: key updates and empty records cost us work and the peer nothing. */
const BARREN_BYTES_MAX = 64 * 1024;
/** How long close_notify may take to reach the kernel of a peer that does not read. */
const CLOSING_MS = 1000;

/** Who waits for the handshake's end. The connection is its own to close. */
export interface HandshakeOwner {
  onEstablished(transport: TlsTransport): void;
  /** The SSL can still be asked, until this returns. */
  onHandshakeFailed(reason: TlsRefusal, detail: string): void;
}

export class TlsTransport implements Transport, SocketHandler {
  readonly #records: TlsRecords;
  readonly #connection: Connection;
  readonly #socket: Socket;
  readonly #side: "server" | "client";
  readonly #answers: HandshakeAnswers;
  #owner: HandshakeOwner | null;
  #ssl: Ssl;
  #state = HANDSHAKE;
  #peerEnded = false;
  #shutdownSent = false;
  /** Ciphertext since the last data. */
  #barrenBytes = 0;
  #alarm: Alarm | null = null;
  #failed = false;
  #broken = 0;
  /** A FIN without close_notify is an end as any other: what came says itself how long it is. Else it is a cut. */
  trustsFin = false;
  /** Called once, before the first plaintext is handed on. */
  onFirstData: (() => void) | null = null;

  /** Takes the socket over: from now on its bytes come here. */
  constructor(
    records: TlsRecords,
    connection: Connection,
    socket: Socket,
    ssl: Ssl,
    side: "server" | "client",
    answers: HandshakeAnswers,
    owner: HandshakeOwner,
  ) {
    this.#records = records;
    this.#connection = connection;
    this.#socket = socket;
    this.#ssl = ssl;
    this.#side = side;
    this.#answers = answers;
    this.#owner = owner;
    connection.transport = this;
    socket.handler = this;
  }

  /** Valid until the connection is closed. */
  get ssl(): Ssl {
    return this.#ssl;
  }

  /** A client's first flight. */
  start(): void {
    this.#shake(0, 0);
    if (this.#state === HANDSHAKE) this.#records.driver.startReceive(this.#socket);
  }

  // What the driver tells.

  onConnect(): void {}

  onReceive(_socket: Socket, _buffer: number, start: number, end: number): void {
    let from = start;
    if (this.#state === HANDSHAKE) from = this.#shake(start, end);
    if (this.#state !== OPEN || from === end) return;
    if (this.#peerEnded) this.#ignore(end - from);
    else this.#read(from, end);
  }

  onEnd(): void {
    if (this.#state === HANDSHAKE) this.#fail("closed", "the peer left in the middle of the handshake");
    else if (this.#state === CLOSING) this.#closeNow();
    else if (this.#state === OPEN && !this.#peerEnded) this.#truncated();
  }

  onSent(): void {
    if (this.#state === OPEN) this.#connection.onSent();
    else if (this.#state === CLOSING) this.#closeNow();
  }

  onError(_socket: Socket, error: number): void {
    if (this.#state === HANDSHAKE) this.#fail("closed", "the connection broke in the middle of the handshake");
    else if (this.#state === CLOSING) this.#closeNow();
    else this.#break(error);
  }

  // What the connection asks for.

  startReceive(socket: Socket): void {
    this.#records.driver.startReceive(socket);
  }

  stopReceive(socket: Socket): void {
    this.#records.driver.stopReceive(socket);
  }

  send(socket: Socket, _buffer: number, start: number, end: number): void {
    if (this.#state !== OPEN || end <= start) return;
    const written = this.#records.io.write(this.#ssl, start, end);
    if (!written) {
      takeError();
      this.#breakSoon(EPROTO);
    } else if (!this.#records.flush(socket)) this.#breakSoon(ENOBUFS);
  }

  shutdown(socket: Socket): void {
    if (this.#state === OPEN) this.#sayGoodbye(socket);
    this.#records.driver.shutdown(socket);
  }

  /** With nothing queued the peer is told that this is the end, so that it can't take it for an attack. */
  close(socket: Socket): void {
    const orderly = this.#state === OPEN && this.#broken === 0 && !this.#shutdownSent && socket.queuedBytes === 0;
    if (orderly) this.#sayGoodbye(socket);
    // Of a handshake that failed the alert is on its way.
    const alerted = this.#state === HANDSHAKE && this.#failed;
    this.#freeSsl();
    if ((!orderly && !alerted) || socket.queuedBytes === 0) {
      this.#closeNow();
      return;
    }
    this.#state = CLOSING;
    const { driver, loop } = this.#records;
    driver.stopReceive(socket);
    driver.shutdown(socket);
    this.#alarm = new Alarm(loop, () => this.#closeNow());
    this.#alarm.set(CLOSING_MS);
  }

  reset(socket: Socket): void {
    this.#freeSsl();
    this.#state = CLOSED;
    this.#alarm?.cancel();
    this.#records.driver.reset(socket);
  }

  /** One step of the handshake; answers how far the input was read. */
  #shake(start: number, end: number): number {
    const { io } = this.#records;
    answerWith(this.#answers);
    clearErrors();
    const result = io.handshake(this.#ssl, start, end);
    const { next } = io;
    if (!this.#records.flush(this.#socket)) this.#fail("no-memory", "no buffer is free");
    else if (result === FAILED) {
      const { text, failure } = takeError();
      this.#fail(failure, text);
    } else if (result !== WANTS_MORE) {
      this.#state = OPEN;
      const owner = this.#owner;
      this.#owner = null;
      owner?.onEstablished(this);
    }
    // The peer works on what it is sent while the next handshake is worked on here.
    this.#records.loop.driver.endTurn();
    return next;
  }

  #read(start: number, end: number): void {
    const records = this.#records;
    const { io } = records;
    let from = start;
    while (this.#state === OPEN) {
      const plain = records.plaintext();
      if (plain < 0) {
        this.#break(ENOBUFS);
        return;
      }
      const limit = plain + BUFFER_BYTES;
      let to = plain;
      let result: number;
      do {
        result = io.read(this.#ssl, from, end, to, limit - to);
        from = io.next;
        if (result > 0) to += result;
      } while (result > 0 && from < end && limit - to >= RECORD_BYTES);
      if (io.outputBytes > 0 && result !== FAILED) this.#spokeByItself();
      // Before anything else: the output is shared.
      if (io.outputBytes > 0 && !records.flush(this.#socket)) this.#breakSoon(ENOBUFS);
      if (to > plain) {
        this.#barrenBytes = 0;
        if (this.onFirstData !== null) this.#firstData(this.onFirstData);
        records.deliver(this.#connection, this.#socket, plain, to);
      }
      if (result <= 0) {
        if (this.#state === OPEN) this.#readNothing(result, end - start);
        return;
      }
      if (from >= end) return;
    }
  }

  #firstData(tell: () => void): void {
    this.onFirstData = null;
    tell();
  }

  /** OpenSSL has answered what it read: with TLS 1.3 a key update, with 1.2 a client that would shake hands again. */
  #spokeByItself(): void {
    if (this.#side === "server" && versionOf(this.#ssl) === "TLSv1.2") this.#records.counters.refused("renegotiation");
  }

  #readNothing(result: number, bytes: number): void {
    if (result === ENDED) {
      this.#peerEnded = true;
      this.#connection.onEnd();
    } else if (result === FAILED) {
      this.#records.counters.refused(takeError().failure);
      this.#break(EPROTO);
    } else {
      this.#ignore(bytes);
    }
  }

  /** Nothing of this is data. Behind close_notify that is right (RFC 8446 §6.1), but for ever it is neither there nor in front of it. */
  #ignore(bytes: number): void {
    this.#barrenBytes += bytes;
    if (this.#barrenBytes <= BARREN_BYTES_MAX) return;
    this.#records.counters.refused("no-data");
    this.#break(EPROTO);
  }

  /** FIN without close_notify: whoever is between us may have cut the rest off. */
  #truncated(): void {
    this.#peerEnded = true;
    this.#records.counters.truncated++;
    if (this.trustsFin) this.#connection.onEnd();
    else this.#break(ECONNRESET);
  }

  #fail(reason: TlsRefusal, detail: string): void {
    const owner = this.#owner;
    this.#owner = null;
    this.#failed = true;
    owner?.onHandshakeFailed(reason, detail);
    this.#freeSsl();
  }

  #break(error: number): void {
    this.#broken = error;
    this.#connection.onError(this.#socket, error);
  }

  /** Nothing is told within the call that asked: the next turn does. */
  #breakSoon(error: number): void {
    if (this.#broken !== 0) return;
    this.#broken = error;
    this.#alarm = new Alarm(this.#records.loop, () => {
      if (this.#state === OPEN) this.#break(error);
    });
    this.#alarm.set(0);
  }

  #sayGoodbye(socket: Socket): void {
    if (this.#shutdownSent) return;
    this.#shutdownSent = true;
    this.#records.io.shutdown(this.#ssl);
    this.#records.flush(socket);
  }

  #closeNow(): void {
    if (this.#state === CLOSED) return;
    this.#freeSsl();
    this.#state = CLOSED;
    this.#alarm?.cancel();
    this.#records.driver.close(this.#socket);
  }

  #freeSsl(): void {
    if (this.#ssl === 0) return;
    this.#records.io.free(this.#ssl);
    this.#ssl = 0;
  }
}
