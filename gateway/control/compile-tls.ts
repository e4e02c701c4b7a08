/** Certificates and TLS settings as they were declared to what the data plane has. Pure; the declaration was checked. */
import { defined } from "#core/assert.ts";
import type { CertificateSpec, ClientAuthSpec, ListenerTlsSpec, UpstreamTlsSpec } from "#snapshot/tls.ts";
import { certificateFacts } from "./config/certificate-facts.ts";
import type { CertificateResource, ListenerResource, Resolved, UpstreamResource } from "./config/declaration.ts";
import { keyOf } from "./config/kinds.ts";

const HTTP_ALPN = ["http/1.1"];

/** `sealedKey`: of a tenant's certificate (empty: the gateway's own), by the digest of its public key. */
export type SealedKeys = (owner: string, keyDigest: string) => string;

export function compileCertificate(one: CertificateResource, sealedKey: SealedKeys): CertificateSpec {
  const chain = defined(one.certificate, "text of a checked certificate");
  const facts = certificateFacts(chain);
  if (typeof facts === "string") throw new Error(`certificate "${one.name}": ${facts}`);
  return {
    name: keyOf("certificates", one),
    hosts: [...facts.hosts],
    keyType: facts.keyType,
    fingerprint: facts.fingerprint,
    chain,
    sealedKey: sealedKey(one.tenant ?? "", facts.keyDigest),
    notAfterMs: facts.notAfterMs,
    ...(one.ocspResponse === undefined ? {} : { ocsp: one.ocspResponse }),
  };
}

/** Its own certificates, then those of the tenants that may use this listener: whose names come first is the operator's choice. */
export function compileListenerTls(one: ListenerResource, declared: Resolved): { tls?: ListenerTlsSpec } {
  const { tls } = one;
  if (tls === undefined) return {};
  const index = new Map(declared.certificates.map((certificate, i) => [keyOf("certificates", certificate), i]));
  const own = tls.certificates.map((name) => defined(index.get(name), "certificate of a checked listener"));
  const tenants = new Set(
    declared.tenants.filter(({ allow }) => allow.listeners?.includes(one.name) ?? true).map(({ name }) => name),
  );
  const theirs = declared.certificates.flatMap(({ tenant }, i) =>
    tenant !== undefined && tenants.has(tenant) ? [i] : [],
  );
  return {
    tls: {
      certificates: [...new Set([...own, ...theirs])],
      alpn: [...(tls.alpn ?? (one.protocol === "http" ? HTTP_ALPN : []))],
      minVersion: tls.minVersion,
      ciphers: tls.ciphers ?? "",
      clientAuth: compileClientAuth(tls.clientAuth),
      handshakeTimeoutMs: tls.handshakeTimeoutMs,
      handshakesMax: tls.handshakesMax,
    },
  };
}

function compileClientAuth(auth: NonNullable<ListenerResource["tls"]>["clientAuth"]): ClientAuthSpec {
  if (auth === "none") return { mode: "none", ca: "", fingerprints: [], header: "" };
  const { mode, ca, fingerprints, header } = auth;
  return { mode, ca: ca ?? "", fingerprints: [...fingerprints], header: header ?? "" };
}

export function compileUpstreamTls(one: UpstreamResource, declared: Resolved): { tls?: UpstreamTlsSpec } {
  const { tls } = one;
  if (tls === undefined) return {};
  const { clientCertificate: name } = tls;
  const key = one.tenant === undefined ? name : `${one.tenant}/${name}`;
  return {
    tls: {
      serverName: tls.serverName ?? "",
      ca: tls.ca ?? "",
      insecureSkipVerify: tls.insecureSkipVerify,
      clientCertificate:
        name === undefined
          ? -1
          : declared.certificates.findIndex((certificate) => keyOf("certificates", certificate) === key),
      alpn: [...HTTP_ALPN],
      ...(tls.alpn === undefined ? {} : { streamAlpn: [...tls.alpn] }),
      minVersion: tls.minVersion,
      pins: [...tls.pins],
    },
  };
}
