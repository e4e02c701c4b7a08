/**
 * Host calls for digests and signatures. Pure: the same bytes, the same answer. A key is parsed once and kept by its bytes, since
 * that takes longer than checking a signature with it.
 */
import { createHash, createHmac, createPublicKey, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import { SIGNATURES } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { PHASES_ALL } from "#wasm/guest/phases.ts";
import type { Makers } from "./signature.ts";
import { bytesOf, copyToGuest } from "./transfer.ts";

const KEY_BYTES_MAX = 16_384;
const DATA_BYTES_MAX = 65_536;
const SIGNATURE_BYTES_MAX = 1024;
const DIGEST_BYTES = 32;
/** RSA of 2 048 bits takes about 25 µs, an elliptic curve up to 100; with room for larger keys. */
const VERIFY_COST = 100_000;
const DIGEST_COST = 2_000;
/** A digest takes about 2 ns a byte. */
const DIGEST_SHIFT = 1;

function publicKey(guest: Guest, bytes: Uint8Array): KeyObject | null {
  const { publicKeys } = guest.environment;
  const pem = Buffer.from(bytes).toString("latin1");
  const known = publicKeys.get(pem);
  if (known !== undefined) return known;
  let key: KeyObject | null;
  try {
    key = createPublicKey(pem);
  } catch {
    // It is not a key: no signature is good by it.
    key = null;
  }
  publicKeys.set(pem, key);
  return key;
}

function isGood(guest: Guest, algorithm: number, key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean {
  if (algorithm === SIGNATURES.HS256) {
    const expected = createHmac("sha256", key).update(data).digest();
    return signature.length === expected.length && timingSafeEqual(signature, expected);
  }
  const parsed = publicKey(guest, key);
  if (parsed === null) return false;
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = parsed;
  // The algorithm is the caller's, never the signature's: a key serves the one it was made for (RFC 8725 section 3.1).
  if (algorithm === SIGNATURES.RS256) return type === "rsa" && verify("sha256", data, parsed, signature);
  if (algorithm === SIGNATURES.EdDSA) return type === "ed25519" && verify(null, data, parsed, signature);
  const curve = type === "ec" && details?.namedCurve === "prime256v1";
  return curve && verify("sha256", data, { key: parsed, dsaEncoding: "ieee-p1363" }, signature);
}

export const signatureCalls: Makers<"verify" | "hmac_sha256" | "sha256"> = {
  verify: (guest) => (algorithm, keyAt, keyLength, dataAt, dataLength, signatureAt, signatureLength) => {
    if (!guest.may(PHASES_ALL, "verify")) return 0;
    if (algorithm < SIGNATURES.HS256 || algorithm > SIGNATURES.EdDSA) {
      guest.fail(`verify with the unknown algorithm ${algorithm}`);
      return 0;
    }
    const key = bytesOf(guest, keyAt, keyLength, KEY_BYTES_MAX, "a key");
    const data = bytesOf(guest, dataAt, dataLength, DATA_BYTES_MAX, "what is signed");
    const signature = bytesOf(guest, signatureAt, signatureLength, SIGNATURE_BYTES_MAX, "a signature");
    if (key === null || data === null || signature === null) return 0;
    guest.charge((algorithm === SIGNATURES.HS256 ? DIGEST_COST : VERIFY_COST) + (data.length >> DIGEST_SHIFT));
    return isGood(guest, algorithm, key, data, signature) ? 1 : 0;
  },

  hmac_sha256: (guest) => (keyAt, keyLength, dataAt, dataLength, pointer) => {
    if (!guest.may(PHASES_ALL, "hmac_sha256")) return undefined;
    const key = bytesOf(guest, keyAt, keyLength, KEY_BYTES_MAX, "a key");
    const data = bytesOf(guest, dataAt, dataLength, DATA_BYTES_MAX, "what is digested");
    if (key === null || data === null) return undefined;
    guest.charge(DIGEST_COST + (data.length >> DIGEST_SHIFT));
    const digest = createHmac("sha256", key).update(data).digest();
    copyToGuest(guest, digest, 0, DIGEST_BYTES, pointer, DIGEST_BYTES);
    return undefined;
  },

  sha256: (guest) => (dataAt, dataLength, pointer) => {
    if (!guest.may(PHASES_ALL, "sha256")) return undefined;
    const data = bytesOf(guest, dataAt, dataLength, DATA_BYTES_MAX, "what is digested");
    if (data === null) return undefined;
    guest.charge(DIGEST_COST + (data.length >> DIGEST_SHIFT));
    const digest = createHash("sha256").update(data).digest();
    copyToGuest(guest, digest, 0, DIGEST_BYTES, pointer, DIGEST_BYTES);
    return undefined;
  },
};
