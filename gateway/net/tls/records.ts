/**
 * What the TLS connections of one worker share: OpenSSL's state machine, and two buffers of the arena.
 *
 *  - the plaintext buffer: records are decrypted into it and handed on; who keeps a region retains the buffer, and then the
 *    next record is given another;
 *  - the ciphertext buffer: encrypted records of all connections, one behind the other, each queued as a region of its own.
 *
 * So a connection that waits holds no buffer, and sixty-four small responses of one turn leave from one.
 */
import { BUFFER_BYTES, type Buffers } from "#io/buffers.ts";
import type { Loop } from "#io/loop.ts";
import type { Socket } from "#io/socket.ts";
import type { Connection } from "#net/connection.ts";
import { SslIo } from "#sys/openssl-connection.ts";
import type { Transport } from "#net/transport.ts";
import { ClientHello } from "./client-hello.ts";
import { TlsCounters } from "./counters.ts";

export class TlsRecords {
  readonly loop: Loop;
  /** What carries ciphertext: the driver, or a stream. */
  readonly driver: Transport;
  readonly io: SslIo;
  readonly counters = new TlsCounters();
  /** For whoever reads a ClientHello next. */
  readonly hello = new ClientHello();
  /** Handshakes of clients under way. */
  handshakes = 0;
  readonly #buffers: Buffers;
  #plain = -1;
  #cipher = -1;
  #cipherEnd = 0;

  /** Throws AssertionError where OpenSSL is not what this was written for. */
  constructor(loop: Loop, transport: Transport = loop.driver) {
    this.loop = loop;
    this.driver = transport;
    this.#buffers = loop.driver.buffers;
    this.io = new SslIo(this.#buffers.memory);
    const scratch = this.#buffers.allocate();
    this.io.selfTest(this.#buffers.memory, scratch * BUFFER_BYTES);
    this.#buffers.release(scratch);
  }

  /** Where a whole buffer for plaintext begins; −1 when the process is out of buffers. */
  plaintext(): number {
    if (this.#plain < 0) this.#plain = this.#buffers.allocate();
    return this.#plain < 0 ? -1 : this.#plain * BUFFER_BYTES;
  }

  /** Hands the plaintext `[start, end)` on, which stands where `plaintext` said. */
  deliver(connection: Connection, socket: Socket, start: number, end: number): void {
    const buffer = this.#plain;
    connection.onReceive(socket, buffer, start, end);
    // Kept by somebody: it is theirs now.
    if (this.#buffers.references(buffer) === 1) return;
    this.#buffers.release(buffer);
    this.#plain = -1;
  }

  /** Queues all that OpenSSL has to send on `socket`. False when the process is out of buffers: the connection is lost. */
  flush(socket: Socket): boolean {
    const { io } = this;
    while (io.outputBytes > 0) {
      if (!this.#roomForCiphertext()) {
        io.dropOutput();
        return false;
      }
      const start = this.#cipherEnd;
      this.#cipherEnd += io.takeOutput(start, (this.#cipher + 1) * BUFFER_BYTES - start);
      this.driver.send(socket, this.#cipher, start, this.#cipherEnd);
    }
    return true;
  }

  /** At the beginning of the buffer whenever all that was in it has left: there the caches are warm. */
  #roomForCiphertext(): boolean {
    if (this.#cipher >= 0 && this.#buffers.references(this.#cipher) === 1) {
      this.#cipherEnd = this.#cipher * BUFFER_BYTES;
      return true;
    }
    if (this.#cipher >= 0 && this.#cipherEnd < (this.#cipher + 1) * BUFFER_BYTES) return true;
    if (this.#cipher >= 0) this.#buffers.release(this.#cipher);
    this.#cipher = this.#buffers.allocate();
    this.#cipherEnd = this.#cipher * BUFFER_BYTES;
    return this.#cipher >= 0;
  }

  /** Gives the two buffers back. No TLS connection may be left. */
  dispose(): void {
    if (this.#plain >= 0) this.#buffers.release(this.#plain);
    if (this.#cipher >= 0) this.#buffers.release(this.#cipher);
    this.#plain = -1;
    this.#cipher = -1;
  }
}
