/** What a TLS handshake has settled with the peer: plain data, for filters, logs and forwarded fields. */
import { createHash, X509Certificate } from "node:crypto";

export interface TlsPeer {
  /** `TLSv1.3`. */
  readonly version: string;
  /** The name a client asked for by SNI; empty when it named none. */
  readonly serverName: string;
  /** Settled by ALPN; empty without. */
  readonly alpn: string;
  readonly certificate: PeerCertificate | null;
}

export interface PeerCertificate {
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string;
  /** RFC 4514, most significant last: `CN=worker 7,O=acme`. */
  readonly subject: string;
  /** As the certificate has them: `DNS:a.example`, `URI:spiffe://…`. */
  readonly alternativeNames: readonly string[];
}

export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

export function peerCertificate(der: Uint8Array): PeerCertificate {
  const certificate = new X509Certificate(der);
  return {
    fingerprint: fingerprintOf(der),
    subject: distinguishedName(certificate.subject),
    alternativeNames: certificate.subjectAltName?.split(", ") ?? [],
  };
}

/**
 * OpenSSL's multi-line form, the broadest part first, turned round and joined. A subject may be absent: then the names are
 * in the extension.
 */
function distinguishedName(lines: string | undefined): string {
  return (lines ?? "").split("\n").toReversed().join(",");
}
