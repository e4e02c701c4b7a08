/** Why a TLS connection was not made, or was ended: a closed set, for counters and the log. */
import type { TlsFailure } from "#sys/openssl-errors.ts";
import { HELLO_MALFORMED, HELLO_PLAIN_HTTP, HELLO_TOO_LONG } from "./client-hello.ts";

export const TLS_REFUSALS = [
  /** The first bytes are no TLS. */
  "not-tls",
  "plain-http",
  "malformed-hello",
  "hello-too-long",
  /** The handshake took longer than it may. */
  "timeout",
  /** The peer left before the handshake was done. */
  "closed",
  /** As many handshakes are under way as there may be. */
  "too-many-handshakes",
  "no-memory",
  /** What OpenSSL tells apart. */
  "version",
  "cipher",
  "certificate",
  "alpn",
  "alert",
  "protocol",
  /** A certificate whose fingerprint is not in the list. */
  "fingerprint",
  /** A client of TLS 1.2 asked for another handshake: it was told no, and the connection is its own to end. */
  "renegotiation",
  /** Records without data, many of them. */
  "no-data",
] as const satisfies readonly (string | TlsFailure)[];

export type TlsRefusal = (typeof TLS_REFUSALS)[number];

export function refusalOfHello(verdict: number): TlsRefusal {
  switch (verdict) {
    case HELLO_PLAIN_HTTP:
      return "plain-http";
    case HELLO_MALFORMED:
      return "malformed-hello";
    case HELLO_TOO_LONG:
      return "hello-too-long";
    default:
      return "not-tls";
  }
}
