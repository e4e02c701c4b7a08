/**
 * What is known of a connection once its handshake is done, and what is set of a client's before it: names, sessions,
 * certificates. Off the path of records: every function is a call or a few.
 */
import { addressOf } from "./memory.ts";
import { openssl, peekBytes, staticBytes } from "./openssl.ts";
import type { Ssl } from "./openssl-connection.ts";

const version = openssl("const char *SSL_get_version(uintptr_t ssl)");
const reused = openssl("int SSL_session_reused(uintptr_t ssl)");
const alpnSelected = openssl("void SSL_get0_alpn_selected(uintptr_t ssl, void *to, void *length)");
const peerCertificate = openssl("uintptr_t SSL_get1_peer_certificate(uintptr_t ssl)");
const freeCertificate = openssl("void X509_free(uintptr_t certificate)");
const derBytes = openssl("int i2d_X509(uintptr_t certificate, void *to)");
const verifyResult = openssl("long SSL_get_verify_result(uintptr_t ssl)");
const verifyText = openssl("const char *X509_verify_cert_error_string(long result)");
const getSession = openssl("uintptr_t SSL_get1_session(uintptr_t ssl)");
const setSession = openssl("int SSL_set_session(uintptr_t ssl, uintptr_t session)");
const resumable = openssl("int SSL_SESSION_is_resumable(uintptr_t session)");
const freeSessionCall = openssl("void SSL_SESSION_free(uintptr_t session)");
const setAlpn = openssl("int SSL_set_alpn_protos(uintptr_t ssl, const void *wire, unsigned int bytes)");
const setName = openssl("long SSL_ctrl(uintptr_t ssl, int command, long number, const char *name)");
const expectHost = openssl("int SSL_set1_host(uintptr_t ssl, const char *name)");
const verifyParameters = openssl("uintptr_t SSL_get0_param(uintptr_t ssl)");
const expectIp = openssl("int X509_VERIFY_PARAM_set1_ip_asc(uintptr_t parameters, const char *ip)");

const SSL_CTRL_SET_TLSEXT_HOSTNAME = 55;
const X509_V_OK = 0;

/** `TLSv1.3`. */
export function versionOf(ssl: Ssl): string {
  return version(ssl) as string;
}

export function wasResumed(ssl: Ssl): boolean {
  return reused(ssl) === 1;
}

const pointer = staticBytes(8);
const count = staticBytes(4);
const name = staticBytes(256);

/** The protocol that ALPN settled; empty when there was none. */
export function alpnOf(ssl: Ssl): string {
  alpnSelected(ssl, pointer, count);
  const bytes = count.readUInt32LE();
  if (bytes === 0 || bytes > 255) return "";
  peekBytes(name, Number(pointer.readBigUInt64LE()), bytes);
  return name.toString("latin1", 0, bytes);
}

/** The peer's certificate, DER; null when it has shown none. */
export function peerCertificateOf(ssl: Ssl): Uint8Array | null {
  const certificate = peerCertificate(ssl) as number;
  if (certificate === 0) return null;
  const bytes = derBytes(certificate, null) as number;
  const der = staticBytes(bytes).subarray(0, bytes);
  // i2d moves the pointer that it is given; this one is forgotten.
  pointer.writeBigUInt64LE(addressOf(der));
  derBytes(certificate, pointer);
  freeCertificate(certificate);
  return der;
}

/** Why the peer's chain is not trusted, in OpenSSL's words; null when it is. */
export function verifyFailureOf(ssl: Ssl): string | null {
  const result = Number(verifyResult(ssl));
  return result === X509_V_OK ? null : (verifyText(result) as string);
}

/** A client's: the name it asks for by SNI. */
export function askFor(ssl: Ssl, host: string): void {
  setName(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, 0, host);
}

/** As SSL_CTX_set_alpn_protos and SSL_set_alpn_protos want them: each behind its length (RFC 7301 §3.1). */
export function alpnWire(names: readonly string[]): Uint8Array {
  return Buffer.concat(names.map((one) => Buffer.from(`${String.fromCharCode(one.length)}${one}`, "latin1")));
}

/** A client's: what it offers by ALPN, in place of what its context does; empty: nothing. */
export function offer(ssl: Ssl, wire: Uint8Array): void {
  setAlpn(ssl, wire.length === 0 ? null : wire, wire.length);
}

/** A client's: the host name, or the address in text, that the server's certificate must be for. */
export function expect(ssl: Ssl, host: string, isAddress: boolean): void {
  if (isAddress) expectIp(verifyParameters(ssl), host);
  else expectHost(ssl, host);
}

/** An SSL_SESSION *, counted for the caller, that a later connection can resume; 0 when there is none. */
export function resumableSession(ssl: Ssl): number {
  const session = getSession(ssl) as number;
  if (session === 0) return 0;
  if (resumable(session) === 1) return session;
  freeSessionCall(session);
  return 0;
}

export function resume(ssl: Ssl, session: number): void {
  setSession(ssl, session);
}

export function freeSession(session: number): void {
  freeSessionCall(session);
}
