/**
 * The signature algorithms of RFC 7518 and RFC 8037, and which key each may be used with. A token names its algorithm
 * itself, so the key decides: one of type RSA never checks an HMAC, whatever the token says (RFC 8725 section 3.1).
 */
import { constants, createHmac, timingSafeEqual, verify, type KeyObject } from "node:crypto";
import type { JwtAlgorithm } from "#snapshot/builtin-filters.ts";

interface Algorithm {
  /** `kty` of RFC 7517, and the curve where it has one. */
  readonly kty: "oct" | "RSA" | "EC" | "OKP";
  readonly crv?: string;
  readonly hash: string | null;
  readonly pss?: boolean;
}

export const ALGORITHMS: Readonly<Record<JwtAlgorithm, Algorithm>> = {
  HS256: { kty: "oct", hash: "sha256" },
  HS384: { kty: "oct", hash: "sha384" },
  HS512: { kty: "oct", hash: "sha512" },
  RS256: { kty: "RSA", hash: "sha256" },
  RS384: { kty: "RSA", hash: "sha384" },
  RS512: { kty: "RSA", hash: "sha512" },
  PS256: { kty: "RSA", hash: "sha256", pss: true },
  PS384: { kty: "RSA", hash: "sha384", pss: true },
  PS512: { kty: "RSA", hash: "sha512", pss: true },
  ES256: { kty: "EC", crv: "P-256", hash: "sha256" },
  ES384: { kty: "EC", crv: "P-384", hash: "sha384" },
  ES512: { kty: "EC", crv: "P-521", hash: "sha512" },
  EdDSA: { kty: "OKP", crv: "Ed25519", hash: null },
};

/** Of a JWS: `key` fits the algorithm. Never throws for a signature, whatever its bytes. */
export function isSigned(name: JwtAlgorithm, key: KeyObject, signed: Uint8Array, signature: Uint8Array): boolean {
  const { kty, hash, pss } = ALGORITHMS[name];
  if (kty === "oct") {
    const expected = createHmac(hash ?? "", key)
      .update(signed)
      .digest();
    return expected.length === signature.length && timingSafeEqual(expected, signature);
  }
  // RFC 7518 section 3.4: R and S side by side; section 3.5: a salt as long as the hash.
  if (kty === "EC") return verify(hash, signed, { key, dsaEncoding: "ieee-p1363" }, signature);
  if (pss === true) {
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify(hash, signed, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature);
  }
  return verify(hash, signed, key, signature);
}
