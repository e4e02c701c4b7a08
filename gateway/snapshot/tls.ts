/** TLS in a snapshot: certificates with their sealed keys, what a listener offers, what an upstream is asked. Plain data. */

export interface CertificateSpec {
  /** `site`; a tenant's: `acme/site`. */
  readonly name: string;
  /** DNS names of the certificate, lower case: `a.example`, `*.a.example`. */
  readonly hosts: readonly string[];
  /** Of the public key, as Node names it: `rsa`, `ec`, `ed25519`. */
  readonly keyType: string;
  /** SHA-256 of the certificate's DER form, lower-case hex. */
  readonly fingerprint: string;
  /** PEM: the certificate, then its chain. */
  readonly chain: string;
  /** The private key (PEM), sealed by the supervisor, who alone can open it. Workers are sent it open, beside the snapshot. */
  readonly sealedKey: string;
  /** A stapled OCSP response, DER in base64; absent: none. */
  readonly ocsp?: string;
  readonly notAfterMs: number;
}

export type TlsVersionName = "1.2" | "1.3";

export interface ListenerTlsSpec {
  /** Indices into `certificates`; the first answers for names that none has. Never empty. */
  readonly certificates: readonly number[];
  /** Offered by ALPN, the dearest first; empty: what clients offer is left unanswered. */
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersionName;
  /** Cipher list of TLS 1.2 in OpenSSL's words; empty: our own. */
  readonly ciphers: string;
  readonly clientAuth: ClientAuthSpec;
  readonly handshakeTimeoutMs: number;
  /** Under way at a time in one worker. */
  readonly handshakesMax: number;
}

export interface ClientAuthSpec {
  readonly mode: "none" | "optional" | "required";
  /** Authorities (PEM) that clients' certificates must lead to; empty: any issuer, the fingerprint decides. */
  readonly ca: string;
  /** SHA-256, lower-case hex; empty: every certificate that verifies. */
  readonly fingerprints: readonly string[];
  /** Lower-case name of the field that tells the upstream whose certificate it was; empty: none does. */
  readonly header: string;
}

export interface UpstreamTlsSpec {
  /** Asked for and verified in place of the endpoint's own name; empty: that. */
  readonly serverName: string;
  /** Authorities (PEM); empty: the machine's. */
  readonly ca: string;
  /** Whoever answers is believed. */
  readonly insecureSkipVerify: boolean;
  /** Index into `certificates`; −1: none is shown. */
  readonly clientCertificate: number;
  /** Offered by ALPN with requests. */
  readonly alpn: readonly string[];
  /** Offered by streams that are not HTTP, and by tunnels; absent: nothing is. */
  readonly streamAlpn?: readonly string[];
  readonly minVersion: TlsVersionName;
  /** SHA-256 of endpoints' certificates, lower-case hex; empty: every one that verifies. */
  readonly pins: readonly string[];
}
