/**
 * TLS to the endpoints of an upstream: one identity (whom we trust, who we are, what we offer), its context, and a session for
 * each endpoint to resume. Counted: endpoints hold it for as long as they may dial.
 */
import type { Connection, Protocol } from "#net/connection.ts";
import type { Credentials, TrustStore } from "#sys/openssl-certificates.ts";
import { clientContext, freeContext, type TlsVersion } from "#sys/openssl-context.ts";
import {
  alpnOf,
  alpnWire,
  askFor,
  expect,
  freeSession,
  offer,
  peerCertificateOf,
  resumableSession,
  resume,
  verifyFailureOf,
  versionOf,
  wasResumed,
} from "#sys/openssl-session.ts";
import { fingerprintOf } from "./peer.ts";
import type { TlsRecords } from "./records.ts";
import type { TlsRefusal } from "./refusals.ts";
import { TlsTransport, type HandshakeOwner } from "./transport.ts";

/** What `onConnected` is told in place of an errno: beyond all of those. */
export const TLS_FAILED = 10_001;
/** The endpoint is not who it should be. */
export const TLS_UNTRUSTED = 10_002;

/** Endpoints whose sessions are kept; past it the oldest goes. */
const SESSIONS_MAX = 1024;

export interface ClientTlsOptions {
  /** Names all that follows: connections are shared by those who have the same. */
  readonly identity: string;
  /** Null: whoever answers is believed. */
  readonly trust: TrustStore | null;
  readonly credentials: Credentials | null;
  /** Asked for and verified in place of the endpoint's own name; empty: the endpoint's. */
  readonly serverName: string;
  /** Offered by whoever speaks HTTP. */
  readonly alpn: readonly string[];
  /** Offered by streams of anything else. */
  readonly streamAlpn: readonly string[];
  readonly minVersion: TlsVersion;
  /** SHA-256 of certificates that are accepted, lower-case hex; empty: every one that verifies. */
  readonly pins: readonly string[];
  /** A line for the operator: which endpoint, and what is wrong with it. */
  failed(endpoint: string, detail: string): void;
}

export class ClientTls {
  readonly options: ClientTlsOptions;
  readonly #records: TlsRecords;
  readonly #context: number;
  readonly #streamAlpn: Uint8Array;
  /** SSL_SESSION * by endpoint, oldest first. */
  readonly #sessions = new Map<string, number>();
  #references = 1;

  /** Throws PENSTOCK_TLS_CONTEXT. */
  constructor(records: TlsRecords, options: ClientTlsOptions) {
    this.#records = records;
    this.options = options;
    this.#context = clientContext(options);
    this.#streamAlpn = alpnWire(options.streamAlpn);
  }

  retain(): void {
    this.#references++;
  }

  release(): void {
    this.#references--;
    if (this.#references > 0) return;
    for (const session of this.#sessions.values()) freeSession(session);
    this.#sessions.clear();
    freeContext(this.#context);
  }

  /**
   * Connects to `address` (a struct sockaddr) and shakes hands; then `protocol` is told `onConnected(0)`, as by a plain connect. A
   * failure is told by an errno, TLS_FAILED or TLS_UNTRUSTED. `host`: what the endpoint is called, a name or an address.
   */
  dial(connection: Connection, address: Uint8Array, host: string, protocol: Protocol, local?: Uint8Array): void {
    const dialling = new ClientHandshake(this, this.#records, connection, host, protocol);
    connection.adopt(connection.loop.driver.connect(address, connection, local), dialling);
  }

  /** The same for a stream that is not HTTP. */
  dialStream(connection: Connection, address: Uint8Array, host: string, protocol: Protocol): void {
    const dialling = new ClientHandshake(this, this.#records, connection, host, protocol, this.#streamAlpn);
    connection.adopt(connection.loop.driver.connect(address, connection), dialling);
  }

  /** The same over a connection that stands already, and has its transport. */
  secure(connection: Connection, host: string, protocol: Protocol): void {
    const handshake = new ClientHandshake(this, this.#records, connection, host, protocol);
    connection.protocol = handshake;
    handshake.onConnected(0);
  }

  /** An SSL * that is to speak to `host`; 0 when there is no memory. `alpn`: offered in place of `options.alpn`; null: those are. */
  create(host: string, alpn: Uint8Array | null): number {
    const ssl = this.#records.io.create(this.#context, "client");
    if (ssl === 0) return 0;
    if (alpn !== null) offer(ssl, alpn);
    const name = this.nameOf(host);
    const isAddress = /^[\d.]+$|:/.test(name);
    // RFC 6066 §3: an address is never asked for.
    if (!isAddress && name !== "") askFor(ssl, name);
    if (this.options.trust !== null && name !== "") expect(ssl, name, isAddress);
    const session = this.#sessions.get(name);
    if (session !== undefined) resume(ssl, session);
    return ssl;
  }

  nameOf(host: string): string {
    return this.options.serverName === "" ? host : this.options.serverName;
  }

  /** Keeps what can be resumed of a connection that works. */
  remember(host: string, ssl: number): void {
    const session = resumableSession(ssl);
    if (session === 0) return;
    const name = this.nameOf(host);
    this.forget(name);
    this.#sessions.set(name, session);
    if (this.#sessions.size > SESSIONS_MAX) this.forget(this.#sessions.keys().next().value ?? "");
  }

  forget(name: string): void {
    const session = this.#sessions.get(name);
    if (session === undefined) return;
    this.#sessions.delete(name);
    freeSession(session);
  }
}

/** Between the connect and the first byte of the protocol. */
class ClientHandshake implements Protocol, HandshakeOwner {
  readonly #tls: ClientTls;
  readonly #records: TlsRecords;
  readonly #connection: Connection;
  readonly #host: string;
  readonly #protocol: Protocol;
  readonly #alpn: Uint8Array | null;
  #ssl = 0;

  constructor(
    tls: ClientTls,
    records: TlsRecords,
    connection: Connection,
    host: string,
    protocol: Protocol,
    alpn: Uint8Array | null = null,
  ) {
    this.#alpn = alpn;
    this.#tls = tls;
    this.#records = records;
    this.#connection = connection;
    this.#host = host;
    this.#protocol = protocol;
  }

  onConnected(error: number): void {
    const { socket } = this.#connection;
    if (error !== 0 || socket === null) {
      this.#tell(error);
      return;
    }
    const ssl = this.#tls.create(this.#host, this.#alpn);
    if (ssl === 0) {
      this.onHandshakeFailed("no-memory", "no memory");
      return;
    }
    this.#ssl = ssl;
    const answers = { alpn: null, ocsp: null };
    new TlsTransport(this.#records, this.#connection, socket, ssl, "client", answers, this).start();
  }

  onEstablished(transport: TlsTransport): void {
    const { ssl } = transport;
    const unpinned = this.#unpinned(ssl);
    if (unpinned !== null) {
      this.#untrusted(unpinned);
      return;
    }
    const { counters } = this.#records;
    counters.upstreamHandshakes++;
    if (wasResumed(ssl)) counters.upstreamResumed++;
    this.#connection.tls = {
      version: versionOf(ssl),
      serverName: this.#tls.nameOf(this.#host),
      alpn: alpnOf(ssl),
      certificate: null,
    };
    // Tickets of TLS 1.3 come behind the handshake, with the first data at the latest.
    transport.onFirstData = () => this.#tls.remember(this.#host, transport.ssl);
    this.#tell(0);
  }

  /** The SSL is still there to be asked. */
  onHandshakeFailed(_reason: TlsRefusal, detail: string): void {
    const untrusted = this.#ssl === 0 || this.#tls.options.trust === null ? null : verifyFailureOf(this.#ssl);
    if (untrusted !== null) {
      this.#untrusted(untrusted);
      return;
    }
    this.#tls.forget(this.#tls.nameOf(this.#host));
    this.#failed(TLS_FAILED, detail);
  }

  onBytes(): void {}
  onEnd(): void {}
  onDrained(): void {}

  onBroken(error: number): void {
    this.#protocol.onBroken(error);
  }

  onDeadline(nowMs: number): void {
    this.#protocol.onDeadline(nowMs);
  }

  /** Why the certificate is not one of those that are pinned; null when it is. */
  #unpinned(ssl: number): string | null {
    const { pins } = this.#tls.options;
    if (pins.length === 0) return null;
    const der = peerCertificateOf(ssl);
    const fingerprint = der === null ? "none" : fingerprintOf(der);
    return pins.includes(fingerprint) ? null : `its certificate is not pinned (SHA-256 ${fingerprint})`;
  }

  #untrusted(detail: string): void {
    this.#failed(TLS_UNTRUSTED, detail);
  }

  #failed(error: number, detail: string): void {
    this.#records.counters.upstreamFailures++;
    this.#tls.options.failed(this.#host, detail);
    this.#tell(error);
  }

  /** The connection is the protocol's from here on. */
  #tell(error: number): void {
    this.#connection.protocol = this.#protocol;
    this.#protocol.onConnected(error);
  }
}
