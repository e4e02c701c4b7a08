/**
 * What connections of one kind share: versions, ciphers, certificates, whom to trust. A context is made once and is counted
 * by OpenSSL: connections keep theirs, so it may be freed while they live, which is how certificates change under load.
 */
import { tlsError } from "#core/errors/tls.ts";
import { anyChainCallback, useAnswers } from "./openssl-callbacks.ts";
import type { Credentials, TrustStore } from "./openssl-certificates.ts";
import { clearErrors, takeError } from "./openssl-errors.ts";
import { alpnWire } from "./openssl-session.ts";
import { useTicketKeys } from "./openssl-tickets.ts";
import { openssl } from "./openssl.ts";

const serverMethod = openssl("uintptr_t TLS_server_method()")() as number;
const clientMethod = openssl("uintptr_t TLS_client_method()")() as number;
const newContext = openssl("uintptr_t SSL_CTX_new(uintptr_t method)");
const freeContextCall = openssl("void SSL_CTX_free(uintptr_t context)");
const control = openssl("long SSL_CTX_ctrl(uintptr_t context, int command, long number, uintptr_t pointer)");
const setOptions = openssl("uint64_t SSL_CTX_set_options(uintptr_t context, uint64_t options)");
const cipherList = openssl("int SSL_CTX_set_cipher_list(uintptr_t context, const char *list)");
const cipherSuites = openssl("int SSL_CTX_set_ciphersuites(uintptr_t context, const char *list)");
const ticketsEach = openssl("int SSL_CTX_set_num_tickets(uintptr_t context, size_t tickets)");
const useCertificate = openssl("int SSL_CTX_use_certificate(uintptr_t context, uintptr_t certificate)");
const useKey = openssl("int SSL_CTX_use_PrivateKey(uintptr_t context, uintptr_t key)");
const setVerify = openssl("void SSL_CTX_set_verify(uintptr_t context, int mode, void *callback)");
const useStore = openssl("void SSL_CTX_set1_cert_store(uintptr_t context, uintptr_t store)");
const addIssuer = openssl("int SSL_CTX_add_client_CA(uintptr_t context, uintptr_t certificate)");
const sessionContext = openssl(
  "int SSL_CTX_set_session_id_context(uintptr_t context, const void *id, unsigned int bytes)",
);
const sessionTimeout = openssl("long SSL_CTX_set_timeout(uintptr_t context, long seconds)");
const alpnProtocols = openssl("int SSL_CTX_set_alpn_protos(uintptr_t context, const void *wire, unsigned int bytes)");

// openssl/ssl.h
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_CHAIN_CERT = 89;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const SSL_MODE_RELEASE_BUFFERS = 0x10;
const SSL_SESS_CACHE_OFF = 0;
const SSL_OP_NO_COMPRESSION = 1 << 17;
const SSL_OP_CIPHER_SERVER_PREFERENCE = 1 << 22;
const SSL_OP_NO_RENEGOTIATION = 1 << 30;
/** Clients that put ChaCha20 first have no AES in hardware. */
const SSL_OP_PRIORITIZE_CHACHA = 1 << 21;
const VERIFY_PEER = 1;
const FAIL_IF_NO_PEER_CERT = 2;

export const TLS_1_2 = 0x0303;
export const TLS_1_3 = 0x0304;
export type TlsVersion = typeof TLS_1_2 | typeof TLS_1_3;

/** TLS 1.2: forward secrecy and authenticated encryption, nothing else (RFC 9325 §4.2). */
export const CIPHERS_DEFAULT =
  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/** TLS 1.3: OpenSSL's own suites, but AES-128 first as above. SHA-384, which the other has, makes a handshake 15 µs dearer. */
const SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** Of TLS 1.3. OpenSSL's default is two, for clients that open several connections at once; each costs 16 µs of a handshake. */
const TICKETS_EACH = 1;

/** How long a ticket resumes its session. */
const SESSION_SECONDS = 7200;

export interface ServerSettings {
  /** One for each kind of key (RSA, ECDSA); never empty. */
  readonly credentials: readonly Credentials[];
  readonly minVersion: TlsVersion;
  /** Of TLS 1.2, in OpenSSL's words. */
  readonly ciphers: string;
  readonly clientAuth: "none" | "optional" | "required";
  /** Null: any chain is taken, and whoever asked for it looks at the fingerprint. */
  readonly clientCa: TrustStore | null;
  /** 32 bytes; tickets of contexts with another are not taken: what a client proved to one listener it has not proved to another. */
  readonly sessionId: Uint8Array;
}

/** Throws PENSTOCK_TLS_CONTEXT. The caller frees it by `freeContext`. */
export function serverContext(settings: ServerSettings): number {
  const context = commonContext(serverMethod, settings.minVersion, settings.ciphers);
  try {
    setOptions(
      context,
      SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_RENEGOTIATION | SSL_OP_PRIORITIZE_CHACHA,
    );
    for (const credentials of settings.credentials) present(context, credentials);
    sessionContext(context, settings.sessionId, 32);
    useTicketKeys(context);
    ticketsEach(context, TICKETS_EACH);
    useAnswers(context);
    askForCertificate(context, settings);
    return context;
  } catch (error) {
    freeContextCall(context);
    throw error;
  }
}

export interface ClientSettings {
  readonly minVersion: TlsVersion;
  /** Null: whoever answers is believed. */
  readonly trust: TrustStore | null;
  readonly credentials: Credentials | null;
  /** Offered by ALPN, in this order; empty: no offer. */
  readonly alpn: readonly string[];
}

/** Throws PENSTOCK_TLS_CONTEXT. The caller frees it by `freeContext`. */
export function clientContext(settings: ClientSettings): number {
  const context = commonContext(clientMethod, settings.minVersion, CIPHERS_DEFAULT);
  try {
    setOptions(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    if (settings.trust === null) setVerify(context, 0, null);
    else {
      useStore(context, settings.trust.handle);
      setVerify(context, VERIFY_PEER, null);
    }
    if (settings.credentials !== null) present(context, settings.credentials);
    const wire = alpnWire(settings.alpn);
    // The one call of OpenSSL's whose 0 is success.
    if (wire.length > 0 && alpnProtocols(context, wire, wire.length) !== 0) throw refused("ALPN protocols");
    return context;
  } catch (error) {
    freeContextCall(context);
    throw error;
  }
}

/** Connections that have it keep it. */
export function freeContext(context: number): void {
  freeContextCall(context);
}

function commonContext(method: number, minVersion: TlsVersion, ciphers: string): number {
  clearErrors();
  const context = newContext(method) as number;
  if (context === 0) throw refused("no memory");
  control(context, SSL_CTRL_SET_MIN_PROTO_VERSION, minVersion, 0);
  // An idle connection keeps no record buffers.
  control(context, SSL_CTRL_MODE, SSL_MODE_RELEASE_BUFFERS, 0);
  control(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, 0);
  sessionTimeout(context, SESSION_SECONDS);
  if (cipherList(context, ciphers) !== 1 || cipherSuites(context, SUITES) !== 1) {
    const error = refused(`ciphers "${ciphers}"`);
    freeContextCall(context);
    throw error;
  }
  return context;
}

function present(context: number, { chain, key }: Credentials): void {
  const [leaf, ...issuers] = chain;
  if (useCertificate(context, leaf) !== 1) throw refused("certificate");
  // The certificate that was set last is the one that a chain belongs to.
  for (const issuer of issuers) {
    // The number 1: counted once more, so that the chain stays the caller's too.
    if (control(context, SSL_CTRL_CHAIN_CERT, 1, issuer) !== 1) throw refused("chain");
  }
  if (useKey(context, key) !== 1) throw refused("private key");
}

function askForCertificate(context: number, { clientAuth, clientCa }: ServerSettings): void {
  if (clientAuth === "none") return;
  const mode = clientAuth === "required" ? VERIFY_PEER | FAIL_IF_NO_PEER_CERT : VERIFY_PEER;
  setVerify(context, mode, clientCa === null ? anyChainCallback : null);
  if (clientCa === null) return;
  useStore(context, clientCa.handle);
  for (const certificate of clientCa.certificates) addIssuer(context, certificate);
}

function refused(what: string): Error {
  const { text } = takeError();
  return tlsError("PENSTOCK_TLS_CONTEXT", { detail: `${what}: ${text}` });
}
