/**
 * The field that tells an upstream whose certificate a client has shown. Listeners choose its name; a field of any of these names
 * is taken out of every request on every listener first, so that what an upstream reads there is always ours.
 *
 *     Hash=<SHA-256 of the certificate>;Subject="CN=worker 7,O=acme"          (the form of X-Forwarded-Client-Cert)
 */
import type { Head } from "#http/head.ts";
import { internName } from "#http/names.ts";
import type { PeerCertificate } from "#net/tls/peer.ts";
import type { ListenerSpec } from "#snapshot/snapshot.ts";

export class ClientCertificateFields {
  /** Ids of all such names. */
  readonly #names: readonly number[];
  /** By listener; 0: it has none. */
  readonly #own: readonly number[];
  /** Made for the first request of a connection that has shown a certificate. */
  readonly #values = new WeakMap<PeerCertificate, Uint8Array>();

  constructor(own: readonly number[]) {
    this.#own = own;
    this.#names = [...new Set(own)].filter((name) => name !== 0);
  }

  /** Null when no listener has such a field: then requests are not looked at. */
  static of(listeners: readonly ListenerSpec[]): ClientCertificateFields | null {
    const own = listeners.map(({ tls }) => {
      const header = tls?.clientAuth.header ?? "";
      return header === "" ? 0 : internName(header);
    });
    return own.some((name) => name !== 0) ? new ClientCertificateFields(own) : null;
  }

  /** Before routes and filters look at it. False when there is no room for the field: the request must not go on without it. */
  apply(request: Head, listener: number, certificate: PeerCertificate | null): boolean {
    for (let i = 0; i < this.#names.length; i++) request.remove(this.#names[i] as number);
    const name = this.#own[listener] as number;
    if (name === 0 || certificate === null) return true;
    const value = this.#valueOf(certificate);
    return request.add(name, value, 0, value.length);
  }

  #valueOf(certificate: PeerCertificate): Uint8Array {
    const known = this.#values.get(certificate);
    if (known !== undefined) return known;
    const { fingerprint, subject } = certificate;
    const value = Buffer.from(`Hash=${fingerprint};Subject="${quoted(subject)}"`, "latin1");
    this.#values.set(certificate, value);
    return value;
  }
}

/** What has a meaning in a quoted string is escaped (RFC 9110 §5.6.4), what no field value may have is replaced. */
function quoted(text: string): string {
  return text.replaceAll(/["\\]/g, "\\$&").replaceAll(/[^\x20-\x7e]/g, "?");
}
