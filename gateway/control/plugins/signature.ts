/**
 * Signatures of plugin versions: Ed25519 (RFC 8032) over the text below, so that a signature holds for one module under one
 * name only. Keys and signatures are written in base64: 32 and 64 bytes.
 */
import { createPublicKey, sign, verify, type KeyObject } from "node:crypto";

const SIGNATURE_BYTES = 64;
const KEY_BYTES = 32;
/** SubjectPublicKeyInfo of an Ed25519 key up to the key itself (RFC 8410, section 4). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
/** Verified once, a signature stays good: every change of a declaration asks about all of them. */
const REMEMBERED_MAX = 10_000;
const remembered = new Set<string>();

export interface SignedVersion {
  readonly tenant: string;
  readonly name: string;
  readonly version: string;
  /** SHA-256 (hex) of the module as uploaded. */
  readonly digest: string;
}

/** What is signed. */
export function signedText({ tenant, name, version, digest }: SignedVersion): Uint8Array {
  return Buffer.from(`penstock plugin\n${tenant}/${name}@${version}\n${digest}\n`);
}

/** Whether it is 32 bytes in base64. */
export function isPublicKey(text: string): boolean {
  return isBase64(text, KEY_BYTES);
}

export function isSignature(text: string): boolean {
  return isBase64(text, SIGNATURE_BYTES);
}

/** The first of the keys that has made the signature; undefined: none has. */
export function signerOf(version: SignedVersion, signature: string, publicKeys: readonly string[]): string | undefined {
  const text = signedText(version);
  return publicKeys.find((key) => {
    const memo = `${key} ${signature} ${text.toString()}`;
    if (remembered.has(memo)) return true;
    if (!isPublicKey(key) || !verify(null, text, keyOf(key), Buffer.from(signature, "base64"))) return false;
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    remembered.add(memo);
    return true;
  });
}

/** In base64. Throws when it is no Ed25519 key. */
export function signVersion(version: SignedVersion, privateKey: KeyObject): string {
  if (privateKey.asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key");
  return sign(null, signedText(version), privateKey).toString("base64");
}

/** As a tenant's `publicKeys` has it. */
export function publicKeyText(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  return spki.subarray(SPKI_PREFIX.length).toString("base64");
}

function keyOf(text: string): KeyObject {
  const key = Buffer.concat([SPKI_PREFIX, Buffer.from(text, "base64")]);
  return createPublicKey({ key, format: "der", type: "spki" });
}

function isBase64(text: string, bytes: number): boolean {
  const decoded = Buffer.from(text, "base64");
  return decoded.length === bytes && decoded.toString("base64") === text;
}
