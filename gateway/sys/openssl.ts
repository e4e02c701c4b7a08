/**
 * OpenSSL as the Node binary carries it: its symbols are exported, so no library of the machine is needed and both halves of
 * the process agree on one version. Handles (SSL_CTX *, SSL *, BIO *, X509 *, …) are plain numbers: user space ends below
 * 2⁴⁷, a number holds an address exactly, and passing it allocates nothing.
 *
 * Every handle belongs to the thread that made it. Functions of `openssl-*.ts` take and give ownership as they say.
 * Source of numbers: openssl/ssl.h, tls1.h, bio.h, err.h of 3.5.
 */
import { koffi, libc } from "./libc.ts";

const self = koffi.load(null);

/** Declares one function of libssl or libcrypto, e.g. `int SSL_read(uintptr_t ssl, uintptr_t to, int bytes)`. */
export function openssl(declaration: string): (...parameters: unknown[]) => unknown {
  return self.func(declaration);
}

const versionMajor = openssl("unsigned int OPENSSL_version_major()");

/** The structure that `openssl-connection.ts` writes to is the same in every release of this major version. */
export const OPENSSL_MAJOR = versionMajor() as number;

/** memcpy(3) between JavaScript's bytes and C's. Lengths are the caller's to check. */
const copyOut = libc.func("void *memcpy(uintptr_t to, const void *from, size_t bytes)");
const copyIn = libc.func("void *memcpy(void *to, uintptr_t from, size_t bytes)");

/** Bytes of JavaScript to an address. */
export function pokeBytes(to: number, from: Uint8Array, bytes = from.length): void {
  copyOut(to, from, bytes);
}

/** Bytes at an address into `to`. */
export function peekBytes(to: Uint8Array, from: number, bytes = to.length): void {
  copyIn(to, from, bytes);
}

const malloc = openssl("uintptr_t CRYPTO_malloc(size_t bytes, const char *file, int line)");

/** A copy that OpenSSL may own and free. */
export function ownedCopy(bytes: Uint8Array): number {
  const at = malloc(bytes.length, null, 0) as number;
  if (at !== 0) pokeBytes(at, bytes);
  return at;
}

/**
 * Memory that C may point at for as long as the process lives: outside V8's heap, so that no collection moves it. Small typed
 * arrays are not, whence the size.
 */
export function staticBytes(bytes: number): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(bytes, 1024)).fill(0);
}
