/**
 * Which certificate answers for a host name (RFC 6066 §3, RFC 9525 §6.3): one that names it, else one with a wildcard for its
 * first label, else the first of the list. Where several fit equally, all are taken that differ in the kind of their
 * key, and OpenSSL chooses by what the client can verify. Pure.
 */

export interface NamedCertificate {
  /** Lower case: `a.example`, `*.example`. */
  readonly hosts: readonly string[];
  /** `rsa`, `ec`, `ed25519`. */
  readonly keyType: string;
}

export class CertificateNames {
  /** Indices of certificates, by exact name and by wildcard (without `*`: `.example`). */
  readonly #exact = new Map<string, number[]>();
  readonly #wildcards = new Map<string, number[]>();
  readonly #default: readonly number[];

  constructor(certificates: readonly NamedCertificate[]) {
    const fallback: number[] = [];
    certificates.forEach(({ hosts }, index) => {
      for (const host of hosts) {
        if (host.startsWith("*.")) add(this.#wildcards, host.slice(1), index, certificates);
        else add(this.#exact, host, index, certificates);
      }
    });
    // The default answers for the hosts of the first certificate, with the other kinds of key that have the same.
    const first = certificates[0]?.hosts.join(" ");
    certificates.forEach(({ hosts }, index) => {
      if (hosts.join(" ") === first) addOne(fallback, index, certificates);
    });
    this.#default = fallback;
  }

  /** Indices of the certificates for `name` (lower case; empty: none was asked for). The same array for the same name. */
  choose(name: string): readonly number[] {
    const exact = this.#exact.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf(".");
    return (dot > 0 ? this.#wildcards.get(name.slice(dot)) : undefined) ?? this.#default;
  }

  /** Every set that `choose` may answer, each once. */
  sets(): readonly (readonly number[])[] {
    return [this.#default, ...this.#exact.values(), ...this.#wildcards.values()];
  }
}

function add(
  table: Map<string, number[]>,
  name: string,
  index: number,
  certificates: readonly NamedCertificate[],
): void {
  const list = table.get(name);
  if (list === undefined) table.set(name, [index]);
  else addOne(list, index, certificates);
}

/** The earlier of two with the same kind of key stays. */
function addOne(list: number[], index: number, certificates: readonly NamedCertificate[]): void {
  const kind = certificates[index]?.keyType;
  if (!list.some((one) => certificates[one]?.keyType === kind)) list.push(index);
}
