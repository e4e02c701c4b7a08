/** What `basic-auth` and `key-auth` share: secrets that are known by their SHA-256 only, compared in constant time. */
import { hash, timingSafeEqual } from "node:crypto";
import { internName } from "#http/names.ts";
import type { Head } from "#http/head.ts";
import { octetsOf } from "./texts.ts";

export const DIGEST_BYTES = 32;

export function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer");
}

/** `hex`: 64 digits. */
export function digestOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, "hex"));
}

/** Index of the digest among all, or −1. Compares with every one, so that time tells nothing. */
export function indexOfDigest(digests: readonly Uint8Array[], digest: Uint8Array): number {
  let found = -1;
  for (let i = 0; i < digests.length; i++) if (timingSafeEqual(digests[i] as Uint8Array, digest)) found = i;
  return found;
}

/** Tells the upstream who it is, in place of what the client may have said there. */
export class IdentityField {
  readonly #name: number;
  readonly #values: readonly Uint8Array[];

  constructor(header: string | undefined, names: readonly string[]) {
    this.#name = header === undefined ? 0 : internName(header);
    this.#values = names.map(octetsOf);
  }

  /** False when the head has no room for it. */
  write(request: Head, index: number): boolean {
    if (this.#name === 0) return true;
    const value = this.#values[index] as Uint8Array;
    return request.set(this.#name, value, 0, value.length);
  }
}
