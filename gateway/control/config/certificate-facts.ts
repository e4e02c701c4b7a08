/** What stands in a certificate's PEM text, and whether a private key belongs to it. Pure; wrong text is an answer, not a throw. */
import { createHash, createPrivateKey, X509Certificate, type KeyObject } from "node:crypto";

export interface CertificateFacts {
  /** DNS names, lower case. */
  readonly hosts: readonly string[];
  readonly keyType: string;
  /** SHA-256 of the DER form, hex. */
  readonly fingerprint: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo), hex: names the private key that belongs to it. */
  readonly keyDigest: string;
  readonly notAfterMs: number;
  readonly notBeforeMs: number;
}

/** The first certificate of the text; a string says why there is none. */
export function certificateFacts(pem: string): CertificateFacts | string {
  let parsed: X509Certificate;
  try {
    parsed = new X509Certificate(pem);
  } catch {
    return "no certificate in PEM form";
  }
  const names = parsed.subjectAltName?.split(", ") ?? [];
  return {
    hosts: names.filter((one) => one.startsWith("DNS:")).map((one) => one.slice("DNS:".length).toLowerCase()),
    keyType: parsed.publicKey.asymmetricKeyType ?? "unknown",
    fingerprint: createHash("sha256").update(parsed.raw).digest("hex"),
    keyDigest: keyDigest(parsed.publicKey),
    notAfterMs: Date.parse(parsed.validTo),
    notBeforeMs: Date.parse(parsed.validFrom),
  };
}

/** Null when `key` (PEM) is the private key of the text's first certificate; else why not. */
export function keyMismatch(certificate: string, key: string): string | null {
  try {
    const parsed = createPrivateKey(key);
    return new X509Certificate(certificate).checkPrivateKey(parsed)
      ? null
      : "the private key belongs to another certificate";
  } catch {
    return "no unencrypted private key in PEM form";
  }
}

function keyDigest(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");
}
