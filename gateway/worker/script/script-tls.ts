/**
 * TLS of one program: what its listens show, and how its connects look. Made when the script is loaded, so that a bad
 * certificate refuses the script. A listen's is freed with its program, whose connections keep theirs; a connect's stays, as
 * streams of a script that was replaced may still dial.
 */
import { createHash, X509Certificate } from "node:crypto";
import { tlsError } from "#core/errors/tls.ts";
import { ClientTls } from "#net/tls/client-tls.ts";
import type { TlsRecords } from "#net/tls/records.ts";
import { ServerTls, type ServerCertificate } from "#net/tls/server-tls.ts";
import type { CertificateOptions, ConnectTlsOptions, ListenTlsOptions } from "#pipeline/runtime.ts";
import { Credentials, TrustStore } from "#sys/openssl-certificates.ts";
import { CIPHERS_DEFAULT, TLS_1_2, TLS_1_3, type TlsVersion } from "#sys/openssl-context.ts";

const HANDSHAKE_MS = 10_000;
const HANDSHAKES_MAX = 4096;

export class ScriptTls {
  readonly #records: TlsRecords;
  readonly #log: (line: string) => void;
  readonly #servers: ServerTls[] = [];
  readonly #streamServers = new Map<ListenTlsOptions, ServerTls>();
  readonly #clients = new Map<ConnectTlsOptions, ClientTls>();

  readonly #systemCa: Uint8Array | null;

  constructor(records: TlsRecords, systemCa: Uint8Array | null, log: (line: string) => void) {
    this.#records = records;
    this.#systemCa = systemCa;
    this.#log = log;
  }

  /** Throws PENSTOCK_TLS_*. */
  server({ certificates, alpn = ["http/1.1"], minVersion = "1.2" }: ListenTlsOptions): ServerTls {
    const server = new ServerTls({
      certificates: certificates.map(serverCertificate),
      alpn,
      minVersion: versionOf(minVersion),
      ciphers: CIPHERS_DEFAULT,
      clientAuth: "none",
      clientCa: null,
      fingerprints: [],
      handshakeTimeoutMs: HANDSHAKE_MS,
      handshakesMax: HANDSHAKES_MAX,
    });
    this.#servers.push(server);
    return server;
  }

  /** The same for the same options. */
  streamServer(options: ListenTlsOptions): ServerTls {
    const known = this.#streamServers.get(options);
    if (known !== undefined) return known;
    const server = this.server(options);
    this.#streamServers.set(options, server);
    return server;
  }

  /** The same for the same options. Without `ca` the machine's authorities are trusted. Throws PENSTOCK_TLS_*. */
  client(options: ConnectTlsOptions): ClientTls {
    const known = this.#clients.get(options);
    if (known !== undefined) return known;
    const { ca = this.#systemCa, insecure = false, certificate, serverName = "", alpn = [] } = options;
    const client = new ClientTls(this.#records, {
      identity: createHash("sha256").update(JSON.stringify(options)).digest("hex"),
      trust: insecure ? null : trustIn(ca),
      credentials: certificate === undefined ? null : credentials(certificate),
      serverName,
      alpn,
      streamAlpn: alpn,
      minVersion: versionOf(options.minVersion ?? "1.2"),
      pins: [],
      failed: (endpoint, detail) => this.#log(`connect to ${endpoint}: TLS: ${detail}`),
    });
    this.#clients.set(options, client);
    return client;
  }

  /** Nothing new is accepted. */
  free(): void {
    for (const server of this.#servers.splice(0)) server.free();
  }
}

function trustIn(ca: string | Uint8Array | null): TrustStore {
  if (ca === null) throw tlsError("PENSTOCK_TLS_SYSTEM_CA", { detail: "connect: give it `tls: { ca }`" });
  return new TrustStore(Buffer.from(ca));
}

function credentials({ cert, key }: CertificateOptions): Credentials {
  return new Credentials(Buffer.from(cert), Buffer.from(key));
}

function serverCertificate(options: CertificateOptions): ServerCertificate {
  const made = credentials(options);
  const leaf = new X509Certificate(options.cert);
  const names = leaf.subjectAltName?.split(", ") ?? [];
  return {
    hosts: names.filter((one) => one.startsWith("DNS:")).map((one) => one.slice("DNS:".length).toLowerCase()),
    keyType: leaf.publicKey.asymmetricKeyType ?? "unknown",
    credentials: made,
    identity: leaf.fingerprint256,
    ocsp: null,
  };
}

function versionOf(name: "1.2" | "1.3"): TlsVersion {
  return name === "1.3" ? TLS_1_3 : TLS_1_2;
}
