/**
 * Certificates, private keys and trust stores from PEM text in memory: workers have no file system. Each object owns its
 * handles until `free`; contexts made with it hold references of their own, so it may be freed before they are.
 */
import { tlsError } from "#core/errors/tls.ts";
import { clearErrors, takeError } from "./openssl-errors.ts";
import { openssl } from "./openssl.ts";

const memoryBio = openssl("uintptr_t BIO_new_mem_buf(const void *bytes, int length)");
const freeBio = openssl("int BIO_free(uintptr_t bio)");
const readCertificate = openssl(
  "uintptr_t PEM_read_bio_X509(uintptr_t bio, uintptr_t to, uintptr_t ask, const char *u)",
);
const readKey = openssl("uintptr_t PEM_read_bio_PrivateKey(uintptr_t bio, uintptr_t to, uintptr_t ask, const char *u)");
const freeCertificate = openssl("void X509_free(uintptr_t certificate)");
const freeKey = openssl("void EVP_PKEY_free(uintptr_t key)");
const keyMatches = openssl("int X509_check_private_key(uintptr_t certificate, uintptr_t key)");
const newStore = openssl("uintptr_t X509_STORE_new()");
const freeStore = openssl("void X509_STORE_free(uintptr_t store)");
const addToStore = openssl("int X509_STORE_add_cert(uintptr_t store, uintptr_t certificate)");
const storeFlags = openssl("int X509_STORE_set_flags(uintptr_t store, unsigned long flags)");

/** A trusted certificate that is not self-signed ends a chain too: who pins an intermediate means it. openssl/x509_vfy.h */
const X509_V_FLAG_PARTIAL_CHAIN = 0x8_0000;

/** With an encrypted key OpenSSL would ask the terminal; this is the pass phrase it is given instead. */
const NO_PASS_PHRASE = "";

/** Every certificate of a PEM text, in order; the caller frees them. */
function certificatesOf(pem: Uint8Array): number[] {
  const bio = memoryBio(pem, pem.length) as number;
  const found: number[] = [];
  for (;;) {
    const certificate = readCertificate(bio, 0, 0, NO_PASS_PHRASE) as number;
    if (certificate === 0) break;
    found.push(certificate);
  }
  freeBio(bio);
  // The end of the text is reported as an error.
  clearErrors();
  return found;
}

/** A certificate with its chain and its private key. */
export class Credentials {
  /** The certificate first, then what leads to the root. */
  readonly chain: readonly number[];
  readonly key: number;

  /** `chain`, `key`: PEM. Throws PENSTOCK_TLS_CERTIFICATE, PENSTOCK_TLS_KEY. The caller wipes `key` when it wants to. */
  constructor(chain: Uint8Array, key: Uint8Array) {
    this.chain = certificatesOf(chain);
    const [leaf] = this.chain;
    if (leaf === undefined) throw tlsError("PENSTOCK_TLS_CERTIFICATE", { detail: "no certificate in the PEM text" });
    const bio = memoryBio(key, key.length) as number;
    this.key = readKey(bio, 0, 0, NO_PASS_PHRASE) as number;
    freeBio(bio);
    if (this.key === 0 || keyMatches(leaf, this.key) !== 1) {
      const { text } = takeError();
      this.free();
      throw tlsError("PENSTOCK_TLS_KEY", { detail: text });
    }
  }

  free(): void {
    for (const certificate of this.chain) freeCertificate(certificate);
    if (this.key !== 0) freeKey(this.key);
  }
}

/** The certificates that others' chains must lead to. */
export class TrustStore {
  readonly handle: number;
  /** For the list of issuers that a server names when it asks for a certificate. */
  readonly certificates: readonly number[];

  /** Throws PENSTOCK_TLS_CA when there is none in the PEM text. */
  constructor(pem: Uint8Array) {
    this.certificates = certificatesOf(pem);
    if (this.certificates.length === 0) throw tlsError("PENSTOCK_TLS_CA", { detail: "no certificate in the PEM text" });
    this.handle = newStore() as number;
    storeFlags(this.handle, X509_V_FLAG_PARTIAL_CHAIN);
    for (const certificate of this.certificates) addToStore(this.handle, certificate);
    clearErrors();
  }

  free(): void {
    for (const certificate of this.certificates) freeCertificate(certificate);
    freeStore(this.handle);
  }
}
