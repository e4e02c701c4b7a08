/**
 * What OpenSSL holds for a snapshot: certificates with their keys, authorities, contexts of listeners and upstreams. Each is kept
 * over snapshots that do not change it, so that a new certificate makes one new context and costs nobody else a session.
 */
import { createHash } from "node:crypto";
import { defined } from "#core/assert.ts";
import { ClientTls } from "#net/tls/client-tls.ts";
import type { TlsRecords } from "#net/tls/records.ts";
import { ServerTls, type ServerCertificate } from "#net/tls/server-tls.ts";
import { NO_TLS, type EngineTls } from "#proxy/engine.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { CertificateSpec, ListenerTlsSpec, TlsVersionName, UpstreamTlsSpec } from "#snapshot/tls.ts";
import { Credentials, TrustStore } from "#sys/openssl-certificates.ts";
import { CIPHERS_DEFAULT, TLS_1_2, TLS_1_3, type TlsVersion } from "#sys/openssl-context.ts";
import { tlsError } from "#core/errors/tls.ts";
import { Kept } from "./kept.ts";
import type { TlsMaterial } from "./protocol.ts";

export class TlsSet {
  readonly #records: TlsRecords;
  readonly #log: (line: string) => void;
  readonly #credentials = new Kept<Credentials>((one) => one.free());
  readonly #stores = new Kept<TrustStore>((one) => one.free());
  readonly #servers = new Kept<ServerTls>((one) => one.free());
  readonly #clients = new Kept<ClientTls>((one) => one.release());

  /** `log`: lines for the operator, which the caller bounds. */
  constructor(records: TlsRecords, log: (line: string) => void) {
    this.#records = records;
    this.#log = log;
  }

  /** Throws PENSTOCK_TLS_*; then `abort`. */
  prepare(snapshot: Snapshot, material: TlsMaterial): EngineTls {
    const certificates = snapshot.certificates ?? [];
    const used = snapshot.listeners.some((one) => one.tls !== undefined);
    if (!used && snapshot.upstreams.every((one) => one.tls === undefined)) return NO_TLS;
    const loaded = certificates.map((spec, i) => this.#certificate(spec, defined(material.keys[i], "private key")));
    return {
      servers: snapshot.listeners.map(({ tls }) => (tls === undefined ? null : this.#server(tls, loaded))),
      clients: snapshot.upstreams.map(({ name, tls }) =>
        tls === undefined ? null : this.#client(name, tls, loaded, material.systemCa),
      ),
    };
  }

  commit(): void {
    this.#servers.commit();
    this.#clients.commit();
    this.#stores.commit();
    this.#credentials.commit();
  }

  abort(): void {
    this.#servers.abort();
    this.#clients.abort();
    this.#stores.abort();
    this.#credentials.abort();
  }

  #certificate(spec: CertificateSpec, key: Uint8Array): ServerCertificate {
    const chain = digest(spec.chain);
    const credentials = this.#credentials.take(
      `${chain} ${digest(spec.sealedKey)}`,
      () => new Credentials(Buffer.from(spec.chain), key),
    );
    const ocsp = spec.ocsp === undefined ? null : Buffer.from(spec.ocsp, "base64");
    return { hosts: spec.hosts, keyType: spec.keyType, credentials, identity: chain, ocsp };
  }

  #server(spec: ListenerTlsSpec, loaded: readonly ServerCertificate[]): ServerTls {
    const certificates = spec.certificates.map((index) => defined(loaded[index], "certificate of a listener"));
    const parts = certificates.map(({ identity, ocsp }) => [identity, ocsp === null ? "" : digest(ocsp)]);
    const { ca, mode, fingerprints } = spec.clientAuth;
    const { certificates: _, ...settings } = spec;
    return this.#servers.take(
      JSON.stringify([settings, parts]),
      () =>
        new ServerTls({
          certificates,
          alpn: spec.alpn,
          minVersion: versionOf(spec.minVersion),
          ciphers: spec.ciphers === "" ? CIPHERS_DEFAULT : spec.ciphers,
          clientAuth: mode,
          clientCa: ca === "" ? null : { store: this.#store(Buffer.from(ca)), identity: digest(ca) },
          fingerprints,
          handshakeTimeoutMs: spec.handshakeTimeoutMs,
          handshakesMax: spec.handshakesMax,
        }),
    );
  }

  #client(
    name: string,
    spec: UpstreamTlsSpec,
    loaded: readonly ServerCertificate[],
    systemCa: Uint8Array | null,
  ): ClientTls {
    const own = spec.clientCertificate < 0 ? null : defined(loaded[spec.clientCertificate], "client certificate");
    const ca = spec.ca === "" ? systemCa : Buffer.from(spec.ca);
    if (ca === null && !spec.insecureSkipVerify)
      throw tlsError("PENSTOCK_TLS_SYSTEM_CA", { detail: `upstream ${name}` });
    const trust = ca === null || spec.insecureSkipVerify ? null : this.#store(ca);
    const identity = JSON.stringify([name, spec, own?.identity ?? "", trust === null || ca === null ? "" : digest(ca)]);
    return this.#clients.take(identity, () => {
      if (spec.insecureSkipVerify && spec.pins.length === 0) {
        this.#log(`upstream ${name}: insecureSkipVerify is on: whoever answers is believed`);
      }
      return new ClientTls(this.#records, {
        identity: digest(identity),
        trust,
        credentials: own?.credentials ?? null,
        serverName: spec.serverName,
        alpn: spec.alpn,
        streamAlpn: spec.streamAlpn ?? [],
        minVersion: versionOf(spec.minVersion),
        pins: spec.pins,
        failed: (endpoint, detail) => this.#log(`upstream ${name}, endpoint ${endpoint}: TLS: ${detail}`),
      });
    });
  }

  #store(pem: Uint8Array): TrustStore {
    return this.#stores.take(digest(pem), () => new TrustStore(pem));
  }
}

function digest(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

function versionOf(name: TlsVersionName): TlsVersion {
  return name === "1.3" ? TLS_1_3 : TLS_1_2;
}
