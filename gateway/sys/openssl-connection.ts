/**
 * TLS connections as state machines between bytes: ciphertext in and plaintext out, and the other way round. No sockets; one
 * object serves all connections of a thread.
 *
 *     receive buffer ──(no copy)──▶ input BIO ──▶ SSL_read ──▶ plaintext in the arena
 *     plaintext in the arena ──▶ SSL_write ──▶ output BIO ──(one copy)──▶ ciphertext in the arena
 *
 * All connections share the two BIOs, since every call empties the output and takes its input along: between two calls both
 * are empty, and a connection that waits holds no buffer of either kind. OpenSSL reads a partial record into the connection's
 * own memory, so nothing of the input is left over when it asks for more.
 *
 * The input BIO is a read-only memory BIO whose BUF_MEM (openssl/buffer.h: length, data, max, flags) is pointed at the
 * received bytes by six stores, where writing into a BIO would be a call and a copy. The output BIO's length says without a call
 * whether a read has produced something to be sent (an alert, a key update). `selfTest` holds OpenSSL to both.
 *
 * A request and its response are three calls: SSL_read, SSL_write, BIO_read.
 */
import { assert } from "#core/assert.ts";
import { koffi } from "./libc.ts";
import { OPENSSL_MAJOR, openssl } from "./openssl.ts";

const newBio = openssl("uintptr_t BIO_new(uintptr_t method)");
const memoryMethod = openssl("uintptr_t BIO_s_mem()")() as number;
const memoryBio = openssl("uintptr_t BIO_new_mem_buf(uintptr_t bytes, int length)");
const bioControl = openssl("long BIO_ctrl(uintptr_t bio, int command, long number, void *pointer)");
const bioRead = openssl("int BIO_read(uintptr_t bio, uintptr_t to, int bytes)");
const bioWrite = openssl("int BIO_write(uintptr_t bio, uintptr_t from, int bytes)");
const keepBio = openssl("int BIO_up_ref(uintptr_t bio)");
const newSsl = openssl("uintptr_t SSL_new(uintptr_t context)");
const freeSsl = openssl("void SSL_free(uintptr_t ssl)");
const setBios = openssl("void SSL_set_bio(uintptr_t ssl, uintptr_t input, uintptr_t output)");
const acceptState = openssl("void SSL_set_accept_state(uintptr_t ssl)");
const connectState = openssl("void SSL_set_connect_state(uintptr_t ssl)");
const doHandshake = openssl("int SSL_do_handshake(uintptr_t ssl)");
const sslRead = openssl("int SSL_read(uintptr_t ssl, uintptr_t to, int bytes)");
const sslWrite = openssl("int SSL_write(uintptr_t ssl, uintptr_t from, int bytes)");
const sslShutdown = openssl("int SSL_shutdown(uintptr_t ssl)");
const sslWant = openssl("int SSL_want(uintptr_t ssl)");
const sslSetShutdown = openssl("void SSL_set_shutdown(uintptr_t ssl, int sides)");
const sslGetShutdown = openssl("int SSL_get_shutdown(uintptr_t ssl)");

const BIO_CTRL_RESET = 1;
const BIO_C_GET_BUF_MEM_PTR = 115;
const BIO_C_SET_BUF_MEM_EOF_RETURN = 130;
/** An empty input means "later", not "the end". */
const ASK_LATER = -1;
const SSL_READING = 3;
const SSL_SENT_SHUTDOWN = 1;
const SSL_RECEIVED_SHUTDOWN = 2;
const WORD = 0x1_0000_0000;
/** Words of BUF_MEM. */
const LENGTH = 0;
const DATA = 2;
const MAX = 4;

/** What a call that moves no bytes answers. */
export const WANTS_MORE = 0;
export const ENDED = -1;
export const FAILED = -2;

/** An SSL *; 0 is none. */
export type Ssl = number;

export class SslIo {
  readonly #base: number;
  readonly #input: number;
  readonly #output: number;
  /** struct buf_mem_st of each, as words of 32 bits. */
  readonly #inputWords: Uint32Array;
  readonly #outputWords: Uint32Array;
  /** Of the last `handshake` or `read`: where what it did not take begins. */
  next = 0;
  /** Bytes of the output that were taken already. */
  #taken = 0;

  /** `memory`: all offsets below are into it; it must not move, and must outlive this. */
  constructor(memory: Uint8Array) {
    this.#base = Number(koffi.address(memory));
    this.#input = memoryBio(this.#base, 1) as number;
    this.#output = newBio(memoryMethod) as number;
    assert(this.#input !== 0 && this.#output !== 0, "OpenSSL has no memory for a BIO");
    bioControl(this.#input, BIO_C_SET_BUF_MEM_EOF_RETURN, ASK_LATER, null);
    this.#inputWords = bufferOf(this.#input);
    this.#outputWords = bufferOf(this.#output);
    this.#setInput(0, 0);
    this.#outputWords[LENGTH] = 0;
  }

  /** A new connection; 0 when there is no memory. */
  create(context: number, side: "server" | "client"): Ssl {
    const ssl = newSsl(context) as number;
    if (ssl === 0) return 0;
    keepBio(this.#input);
    keepBio(this.#output);
    setBios(ssl, this.#input, this.#output);
    if (side === "server") acceptState(ssl);
    else connectState(ssl);
    return ssl;
  }

  /** Also in the middle of things. OpenSSL would forbid to resume the session of a connection that was not ended in order. */
  free(ssl: Ssl): void {
    sslSetShutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    freeSsl(ssl);
  }

  /** One step with the ciphertext `[from, to)`: 1 when it is done, WANTS_MORE or FAILED. What is to be sent is in the output. */
  handshake(ssl: Ssl, from: number, to: number): number {
    this.#setInput(from, to);
    const result = doHandshake(ssl) as number;
    this.#unsetInput(to);
    if (result === 1) return 1;
    return sslWant(ssl) === SSL_READING ? WANTS_MORE : FAILED;
  }

  /**
   * Plaintext of the ciphertext `[from, to)`, of one record at most, to `at`: bytes, or WANTS_MORE, ENDED (close_notify), FAILED.
   * `capacity`: at least 16 384, so that no part of a record stays behind.
   */
  read(ssl: Ssl, from: number, to: number, at: number, capacity: number): number {
    this.#setInput(from, to);
    const result = sslRead(ssl, this.#base + at, capacity) as number;
    this.#unsetInput(to);
    if (result > 0) return result;
    if (sslWant(ssl) === SSL_READING) return WANTS_MORE;
    return ((sslGetShutdown(ssl) as number) & SSL_RECEIVED_SHUTDOWN) === 0 ? FAILED : ENDED;
  }

  /** Encrypts `[start, end)` into the output. False when the connection can't write any more. */
  write(ssl: Ssl, start: number, end: number): boolean {
    return (sslWrite(ssl, this.#base + start, end - start) as number) === end - start;
  }

  /** Puts close_notify into the output. */
  shutdown(ssl: Ssl): void {
    sslShutdown(ssl);
  }

  /** Bytes that wait to be sent: to be taken before any other connection is touched. */
  get outputBytes(): number {
    return (this.#outputWords[LENGTH] as number) - this.#taken;
  }

  /** Moves up to `capacity` bytes of the output to `at`; answers how many. */
  takeOutput(at: number, capacity: number): number {
    const bytes = bioRead(this.#output, this.#base + at, capacity) as number;
    this.#taken += bytes;
    // Taken whole. OpenSSL sets the length anew when it writes next; the view would show the old one until then.
    if (this.outputBytes === 0) this.#forgetOutput();
    return bytes;
  }

  /** There is no room for it. */
  dropOutput(): void {
    bioControl(this.#output, BIO_CTRL_RESET, 0, null);
    this.#forgetOutput();
  }

  /** Throws AssertionError where OpenSSL's memory BIOs are not as described above. `at`: 64 bytes of scratch. */
  selfTest(memory: Uint8Array, at: number): void {
    memory.set(PROBE, at);
    this.#setInput(at, at + 8);
    const first = bioRead(this.#input, this.#base + at + 16, 5) as number;
    const left = this.#inputWords[LENGTH];
    this.#unsetInput(at + 8);
    const taken = this.next - at;
    const none = bioRead(this.#input, this.#base + at + 16, 5) as number;
    const copied = PROBE.subarray(0, 5).every((byte, i) => memory[at + 16 + i] === byte);
    assert(OPENSSL_MAJOR === 3, `TLS needs OpenSSL 3, this is ${OPENSSL_MAJOR}`);
    assert(
      first === 5 && left === 3 && taken === 5 && none === ASK_LATER && copied,
      "OpenSSL's read-only memory BIO has changed",
    );
    bioWrite(this.#output, this.#base + at, 8);
    const before = this.outputBytes;
    const partly = this.takeOutput(at + 16, 3) + this.takeOutput(at + 19, 20);
    const after = this.outputBytes;
    bioWrite(this.#output, this.#base + at, 4);
    const again = this.outputBytes;
    this.dropOutput();
    assert(before === 8 && partly === 8 && after === 0 && again === 4, "OpenSSL's memory BIO has changed");
  }

  #setInput(from: number, to: number): void {
    const words = this.#inputWords;
    const address = this.#base + from;
    words[LENGTH] = to - from;
    words[DATA] = address >>> 0;
    words[DATA + 1] = Math.floor(address / WORD);
    words[MAX] = to - from;
  }

  #unsetInput(to: number): void {
    this.next = to - (this.#inputWords[LENGTH] as number);
    this.#inputWords[LENGTH] = 0;
  }

  #forgetOutput(): void {
    this.#taken = 0;
    this.#outputWords[LENGTH] = 0;
  }
}

const PROBE = Uint8Array.of(0x70, 0x72, 0x6f, 0x62, 0x65, 0x20, 0x6d, 0x65);

/** The BUF_MEM of a memory BIO: four words of 64 bits, of which lengths and addresses are read and written in halves. */
function bufferOf(bio: number): Uint32Array {
  const to = new BigUint64Array(1);
  bioControl(bio, BIO_C_GET_BUF_MEM_PTR, 0, to);
  return new Uint32Array(koffi.view(to[0] as bigint, 32));
}
