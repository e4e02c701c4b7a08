/**
 * OpenSSL's queue of errors, which is the thread's. What fails leaves entries there, and an entry left behind would be taken
 * for the reason of the next failure: every failing call is followed by `takeError`, every handshake preceded by `clearErrors`.
 */
import { openssl } from "./openssl.ts";

const getError = openssl("unsigned long ERR_get_error()");
const clear = openssl("void ERR_clear_error()");
const reasonText = openssl("const char *ERR_reason_error_string(unsigned long error)");

/** ERR_GET_LIB and ERR_GET_REASON, openssl/err.h. */
const LIB_SHIFT = 23;
const LIB_SSL = 20;
const REASON_MASK = 0x7f_ffff;

/** What kind of failure it was, as far as counters and outcomes tell them apart. */
export type TlsFailure = "version" | "cipher" | "certificate" | "alpn" | "alert" | "protocol";

export interface OpensslError {
  /** OpenSSL's words, `no shared cipher`; `unknown` when the queue was empty. */
  readonly text: string;
  readonly failure: TlsFailure;
}

/** SSL_R_*, openssl/sslerr.h. Alerts that the peer sent are 1000 + their number (RFC 8446 §6). */
const REASONS: Readonly<Record<number, TlsFailure>> = {
  // certificate verify failed; peer did not return a certificate
  134: "certificate",
  199: "certificate",
  // no shared cipher; no shared signature algorithms; no suitable key share; no suitable groups; no suitable signature algorithm
  193: "cipher",
  376: "cipher",
  101: "cipher",
  295: "cipher",
  118: "cipher",
  // no application protocol
  235: "alpn",
  // unsupported protocol; version too low; wrong version number; inappropriate fallback
  258: "version",
  396: "version",
  267: "version",
  373: "version",
};
const ALERTS = 1000;
/** bad certificate … unknown CA: the peer did not like ours, or has none of its own. */
const CERTIFICATE_ALERTS: ReadonlySet<number> = new Set([41, 42, 43, 44, 45, 46, 48, 116]);
const ALERT_PROTOCOL_VERSION = 70;

/** The first entry of the queue, which is then empty. */
export function takeError(): OpensslError {
  const code = Number(getError());
  if (code === 0) return { text: "unknown", failure: "protocol" };
  clear();
  const text = (reasonText(code) as string | null) ?? `error ${code}`;
  const lib = (code >>> LIB_SHIFT) & 0xff;
  return { text, failure: lib === LIB_SSL ? failureOf(code & REASON_MASK) : "protocol" };
}

export function clearErrors(): void {
  clear();
}

function failureOf(reason: number): TlsFailure {
  if (reason <= ALERTS) return REASONS[reason] ?? "protocol";
  const alert = reason - ALERTS;
  if (CERTIFICATE_ALERTS.has(alert)) return "certificate";
  return alert === ALERT_PROTOCOL_VERSION ? "version" : "alert";
}
