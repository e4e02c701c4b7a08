/**
 * Session tickets (RFC 5077, RFC 8446 §4.6.1) under keys that all workers have: who is resumed by another worker than the one
 * that shook hands finds its session there too. The first key seals new tickets; the others only open what was sealed
 * with them, and such a session is given a new ticket.
 *
 *     ticket   key name 16 | IV 16 | AES-256-CBC of the session | HMAC-SHA-256          (OpenSSL's form, RFC 5077 §4)
 *
 * OpenSSL asks by a callback, once or twice in a handshake, never on the path of records. Without keys no tickets are
 * given, and those that come are unknown.
 */
import { koffi } from "./libc.ts";
import { openssl, peekBytes, pokeBytes, staticBytes } from "./openssl.ts";

export const TICKET_NAME_BYTES = 16;
/** 16 of name, 32 for AES-256, 32 for HMAC-SHA-256. */
export const TICKET_KEY_BYTES = 80;
const IV_BYTES = 16;

const setCallback = openssl("int SSL_CTX_set_tlsext_ticket_key_evp_cb(uintptr_t context, void *callback)");
const aes256 = openssl("uintptr_t EVP_aes_256_cbc()")() as number;
const encryptInit = openssl(
  "int EVP_EncryptInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, const void *key, uintptr_t iv)",
);
const decryptInit = openssl(
  "int EVP_DecryptInit_ex(uintptr_t context, uintptr_t cipher, uintptr_t engine, const void *key, uintptr_t iv)",
);
const macParameters = openssl("int EVP_MAC_CTX_set_params(uintptr_t context, const void *parameters)");
const randomBytes = openssl("int RAND_bytes(uintptr_t to, int bytes)");

/** What the callback answers: an error, no ticket, a ticket, a ticket that is to be replaced. */
const FAILED = -1;
const NONE = 0;
const USED = 1;
const RENEW = 2;

interface TicketKey {
  readonly name: Buffer;
  readonly aes: Buffer;
  /** OSSL_PARAM[3]: the HMAC's key, its digest, the end. */
  readonly mac: Buffer;
}

/** In order: the first seals. Of the whole process: all its contexts issue tickets alike. */
let keys: readonly TicketKey[] = [];
const asked = staticBytes(TICKET_NAME_BYTES);

/** Replaces the keys, each TICKET_KEY_BYTES long, the sealing one first. */
export function setTicketKeys(secrets: readonly Uint8Array[]): void {
  keys = secrets.map(ticketKey);
}

/** Makes `context` ask for keys here. */
export function useTicketKeys(context: number): void {
  setCallback(context, callback);
}

const callback = koffi.register(
  (_ssl: number, name: number, iv: number, cipher: number, mac: number, sealing: number): number =>
    sealing === 1 ? seal(name, iv, cipher, mac) : open(name, iv, cipher, mac),
  koffi.pointer(
    koffi.proto(
      "int TicketKeyCallback(uintptr_t ssl, uintptr_t name, uintptr_t iv, uintptr_t cipher, uintptr_t mac, int sealing)",
    ),
  ),
);

function seal(name: number, iv: number, cipher: number, mac: number): number {
  const [key] = keys;
  if (key === undefined) return NONE;
  pokeBytes(name, key.name, TICKET_NAME_BYTES);
  if (randomBytes(iv, IV_BYTES) !== 1) return FAILED;
  if (encryptInit(cipher, aes256, 0, key.aes, iv) !== 1) return FAILED;
  return macParameters(mac, key.mac) === 1 ? USED : FAILED;
}

function open(name: number, iv: number, cipher: number, mac: number): number {
  peekBytes(asked, name, TICKET_NAME_BYTES);
  const at = keys.findIndex((key) => key.name.compare(asked, 0, TICKET_NAME_BYTES, 0, TICKET_NAME_BYTES) === 0);
  const key = keys[at];
  if (key === undefined) return NONE;
  if (decryptInit(cipher, aes256, 0, key.aes, iv) !== 1 || macParameters(mac, key.mac) !== 1) return FAILED;
  return at === 0 ? USED : RENEW;
}

function ticketKey(secret: Uint8Array): TicketKey {
  const whole = staticBytes(TICKET_KEY_BYTES);
  whole.set(secret.subarray(0, TICKET_KEY_BYTES));
  return {
    name: whole.subarray(0, TICKET_NAME_BYTES),
    aes: whole.subarray(TICKET_NAME_BYTES, TICKET_NAME_BYTES + 32),
    mac: macDescription(whole.subarray(TICKET_NAME_BYTES + 32, TICKET_KEY_BYTES)),
  };
}

/** OSSL_PARAM_UTF8_STRING, OSSL_PARAM_OCTET_STRING: openssl/core.h. */
const TEXT = 4;
const OCTETS = 5;
const PARAMETER_BYTES = 40;

const texts = staticBytes(64);
texts.write("key\0digest\0SHA256\0", "latin1");
const KEY_AT = 0;
const DIGEST_AT = 4;
const SHA256_AT = 11;

/**
 *     struct ossl_param_st   const char *key | unsigned int data_type, padding | void *data | size_t data_size | size_t return_size
 */
function macDescription(secret: Buffer): Buffer {
  const parameters = staticBytes(3 * PARAMETER_BYTES);
  const base = koffi.address(texts);
  const write = (index: number, name: number, type: number, data: bigint, bytes: number): void => {
    const at = index * PARAMETER_BYTES;
    parameters.writeBigUInt64LE(base + BigInt(name), at);
    parameters.writeUInt32LE(type, at + 8);
    parameters.writeBigUInt64LE(data, at + 16);
    parameters.writeBigUInt64LE(BigInt(bytes), at + 24);
  };
  write(0, KEY_AT, OCTETS, koffi.address(secret), secret.length);
  write(1, DIGEST_AT, TEXT, base + BigInt(SHA256_AT), "SHA256".length);
  return parameters;
}
