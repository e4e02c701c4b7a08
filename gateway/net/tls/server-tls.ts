/**
 * TLS of one listener as one snapshot has it: certificates by name, and the settings that all its connections share. Contexts
 * are made when the first client asks for their names and kept until `free`; connections keep theirs beyond that, so a
 * certificate changes without a connection being dropped.
 */
import { createHash } from "node:crypto";
import type { Credentials, TrustStore } from "#sys/openssl-certificates.ts";
import { freeContext, serverContext, type TlsVersion } from "#sys/openssl-context.ts";
import { CertificateNames, type NamedCertificate } from "./names.ts";

export interface ServerCertificate extends NamedCertificate {
  readonly credentials: Credentials;
  /** Names what is in it: its fingerprint. */
  readonly identity: string;
  /** A response to staple, DER. */
  readonly ocsp: Uint8Array | null;
}

export interface ServerTlsOptions {
  readonly certificates: readonly ServerCertificate[];
  /** What is offered, the dearest first; empty: what clients offer is left unanswered. */
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion;
  readonly ciphers: string;
  readonly clientAuth: "none" | "optional" | "required";
  /** With its identity; null: any issuer. */
  readonly clientCa: { readonly store: TrustStore; readonly identity: string } | null;
  /** SHA-256, lower-case hex; empty: every certificate that verifies. */
  readonly fingerprints: readonly string[];
  readonly handshakeTimeoutMs: number;
  /** Of one worker, over all listeners. */
  readonly handshakesMax: number;
}

export interface Choice {
  readonly context: number;
  readonly ocsp: Uint8Array | null;
}

export class ServerTls {
  readonly options: ServerTlsOptions;
  readonly #names: CertificateNames;
  readonly #choices = new Map<readonly number[], Choice>();
  readonly #fingerprints: ReadonlySet<string>;
  #freed = false;

  /** Throws PENSTOCK_TLS_CONTEXT for settings that OpenSSL refuses. */
  constructor(options: ServerTlsOptions) {
    this.options = options;
    this.#names = new CertificateNames(options.certificates);
    this.#fingerprints = new Set(options.fingerprints);
    // The default now: what is wrong with the settings is wrong with it, and must be known before they are in force.
    this.choose("");
  }

  /**
   * The context for a name; null after `free`: the listener is no more. Throws PENSTOCK_TLS_CONTEXT only for want of memory, as what
   * it is made of was tried.
   */
  choose(serverName: string): Choice | null {
    if (this.#freed) return null;
    const set = this.#names.choose(serverName);
    const known = this.#choices.get(set);
    if (known !== undefined) return known;
    const made = this.#make(set);
    this.#choices.set(set, made);
    return made;
  }

  /** The first of ours that the client has; empty: none is chosen; null: it has none of ours, and is refused (RFC 7301 §3.2). */
  alpn(offered: readonly string[]): string | null {
    const { alpn } = this.options;
    return alpn.length === 0 ? "" : (alpn.find((one) => offered.includes(one)) ?? null);
  }

  /** Whether a client with this certificate may come in. */
  admits(fingerprint: string): boolean {
    return this.#fingerprints.size === 0 || this.#fingerprints.has(fingerprint);
  }

  /** Its certificates may go then. */
  free(): void {
    this.#freed = true;
    for (const { context } of this.#choices.values()) freeContext(context);
    this.#choices.clear();
  }

  #make(set: readonly number[]): Choice {
    const { certificates, clientAuth, clientCa, minVersion, ciphers, fingerprints } = this.options;
    const chosen = set.map((index) => certificates[index] as ServerCertificate);
    const identity = JSON.stringify([
      chosen.map((one) => one.identity),
      clientAuth,
      clientCa?.identity ?? null,
      fingerprints,
    ]);
    const context = serverContext({
      credentials: chosen.map((one) => one.credentials),
      minVersion,
      ciphers,
      clientAuth,
      clientCa: clientCa?.store ?? null,
      sessionId: createHash("sha256").update(identity).digest(),
    });
    // One response fits one certificate; with two kinds of key it can't be known in advance which is used.
    const ocsp = chosen.length === 1 ? (chosen[0]?.ocsp ?? null) : null;
    return { context, ocsp };
  }
}
