// Digests and signatures, made by the host; base64url and hexadecimal.
import { digest_sha256, hmac_sha256, verify_signature } from "./host";
import { encode, encoded, encodedCopy, encodedLength } from "./text";

/** RS256 is RSA with PKCS #1 v1.5 padding; ES256 signatures are two numbers, as JWTs have them. */
export enum Algorithm {
  HS256 = 0,
  RS256 = 1,
  ES256 = 2,
  EdDSA = 3,
}

const DIGEST_BYTES: i32 = 32;

/** `key`: PEM (`-----BEGIN PUBLIC KEY-----`), or the secret itself for HS256. */
export function verify(algorithm: Algorithm, key: string, data: string, signature: StaticArray<u8>): bool {
  encode(key);
  const keyBytes = encodedCopy();
  const keyLength = encodedLength;
  encode(data);
  const at = changetype<usize>(signature);
  return verify_signature(algorithm, keyBytes, keyLength, encoded, encodedLength, at, signature.length) == 1;
}

export function sha256(data: string): StaticArray<u8> {
  const digest = new StaticArray<u8>(DIGEST_BYTES);
  encode(data);
  digest_sha256(encoded, encodedLength, changetype<usize>(digest));
  return digest;
}

export function hmacSha256(key: string, data: string): StaticArray<u8> {
  const digest = new StaticArray<u8>(DIGEST_BYTES);
  encode(key);
  const keyBytes = encodedCopy();
  const keyLength = encodedLength;
  encode(data);
  hmac_sha256(keyBytes, keyLength, encoded, encodedLength, changetype<usize>(digest));
  return digest;
}

const HEX = "0123456789abcdef";

export function hex(bytes: StaticArray<u8>): string {
  let text = "";
  for (let at = 0; at < bytes.length; at++) {
    text += HEX.charAt(unchecked(bytes[at]) >> 4) + HEX.charAt(unchecked(bytes[at]) & 15);
  }
  return text;
}

/** Value of a digit of base64url (RFC 4648 section 5), −1 for what is none. */
function digit(code: i32): i32 {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41;
  if (code >= 0x61 && code <= 0x7a) return code - 0x61 + 26;
  if (code >= 0x30 && code <= 0x39) return code - 0x30 + 52;
  if (code == 0x2d) return 62;
  return code == 0x5f ? 63 : -1;
}

/** Base64url without padding. Null: it is none. */
export function fromBase64url(text: string): StaticArray<u8> | null {
  const length = text.length;
  if ((length & 3) == 1) return null;
  const bytes = new StaticArray<u8>((length * 3) >> 2);
  let bits: u32 = 0;
  let held = 0;
  let at = 0;
  for (let from = 0; from < length; from++) {
    const value = digit(text.charCodeAt(from));
    if (value < 0) return null;
    bits = (bits << 6) | <u32>value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    unchecked((bytes[at++] = <u8>(bits >> held)));
  }
  // What is left over must be zero: there is one text for the same bytes.
  return (bits & ((1 << held) - 1)) == 0 ? bytes : null;
}

/** Bytes as text, UTF-8. */
export function textOf(bytes: StaticArray<u8>): string {
  return String.UTF8.decodeUnsafe(changetype<usize>(bytes), bytes.length);
}
