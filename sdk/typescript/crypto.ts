import * as crypto from "penstock:plugin/crypto@1.0.0";
import { bytesOf } from "./text.ts";

/** RS256 is RSA with PKCS #1 v1.5 padding; ES256 signatures are two numbers, as JWTs have them. */
export const Algorithm = { HS256: "hs256", RS256: "rs256", ES256: "es256", EdDSA: "ed-dsa" } as const;
export type Algorithm = (typeof Algorithm)[keyof typeof Algorithm];

const octets = (data: string | Uint8Array): Uint8Array => (typeof data === "string" ? bytesOf(data) : data);

/** `key`: PEM (`-----BEGIN PUBLIC KEY-----`), or the secret itself for HS256. */
export function verify(
  algorithm: Algorithm,
  key: string | Uint8Array,
  data: string | Uint8Array,
  signature: Uint8Array,
): boolean {
  return crypto.verify(algorithm, octets(key), octets(data), signature);
}

export function sha256(data: string | Uint8Array): Uint8Array {
  return crypto.sha256(octets(data));
}

export function hmacSha256(key: string | Uint8Array, data: string | Uint8Array): Uint8Array {
  return crypto.hmacSha256(octets(key), octets(data));
}
