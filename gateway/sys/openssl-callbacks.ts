/**
 * What OpenSSL asks in the middle of a handshake, answered from what was settled before it: the ClientHello has been read by
 * then, so these callbacks look nothing up. They run inside `handshake` of `openssl-connection.ts`, on the same thread,
 * at most once each in a handshake, and never for a record of data.
 */
import { koffi } from "./libc.ts";
import { openssl, ownedCopy, pokeBytes, staticBytes } from "./openssl.ts";

const setAlpnSelect = openssl("void SSL_CTX_set_alpn_select_cb(uintptr_t context, void *callback, uintptr_t argument)");
const contextCallback = openssl("long SSL_CTX_callback_ctrl(uintptr_t context, int command, void *callback)");
const sslControl = openssl("long SSL_ctrl(uintptr_t ssl, int command, long number, uintptr_t pointer)");

const SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB = 63;
const SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP = 71;

/** SSL_TLSEXT_ERR_*, openssl/tls1.h. */
const OK = 0;
const FATAL_ALERT = 2;
const NOT_TAKEN = 3;

/** What the handshake that runs now shall answer. */
export interface HandshakeAnswers {
  /** The protocol chosen of those the client offers; empty: none, and it goes on without; null: none of them is ours. */
  readonly alpn: string | null;
  /** A stapled OCSP response, DER; null: none. */
  readonly ocsp: Uint8Array | null;
}

let answers: HandshakeAnswers = { alpn: null, ocsp: null };

/** To be called before each step of a server's handshake. */
export function answerWith(now: HandshakeAnswers): void {
  answers = now;
}

/** Protocol names at addresses that stay, as OpenSSL keeps a pointer until it has copied them. */
const alpnText = staticBytes(256);
const pointer = staticBytes(8);
const length = staticBytes(1);

const alpnCallback = koffi.register(
  (_ssl: number, to: number, toLength: number): number => {
    if (answers.alpn === null) return FATAL_ALERT;
    if (answers.alpn === "") return NOT_TAKEN;
    length[0] = alpnText.write(answers.alpn, "latin1");
    pointer.writeBigUInt64LE(koffi.address(alpnText));
    pokeBytes(to, pointer, 8);
    pokeBytes(toLength, length, 1);
    return OK;
  },
  koffi.pointer(
    koffi.proto(
      "int AlpnCallback(uintptr_t ssl, uintptr_t to, uintptr_t length, uintptr_t offered, unsigned int bytes, uintptr_t argument)",
    ),
  ),
);

const statusCallback = koffi.register(
  (ssl: number): number => {
    if (answers.ocsp === null) return NOT_TAKEN;
    const copy = ownedCopy(answers.ocsp);
    if (copy === 0) return NOT_TAKEN;
    sslControl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, answers.ocsp.length, copy);
    return OK;
  },
  koffi.pointer(koffi.proto("int StatusCallback(uintptr_t ssl, uintptr_t argument)")),
);

/** Any chain will do: whose certificate it is, is decided by its fingerprint, after the handshake. */
export const anyChainCallback = koffi.register(
  (): number => 1,
  koffi.pointer(koffi.proto("int VerifyCallback(int ok, uintptr_t store)")),
);

export function useAnswers(context: number): void {
  setAlpnSelect(context, alpnCallback, 0);
  contextCallback(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, statusCallback);
}
