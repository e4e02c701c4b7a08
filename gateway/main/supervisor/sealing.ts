/**
 * Secrets at rest: AES-256-GCM under a key that only the supervisor reads. What is sealed may lie anywhere, in the control process's
 * store and in the last good snapshot, and is opened here when workers are given a snapshot, with nothing else alive.
 *
 *     v1. | base64( nonce 12 | ciphertext | tag 16 )             the context is authenticated with it
 *
 * The key is the credential `penstock-seal` where systemd hands one over ($CREDENTIALS_DIRECTORY), else a file of the data
 * directory, 0600 and this user's, made at the first start. Who has lost it needs certificates with new private keys: a key that is
 * in the store is not sealed a second time.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { mainError } from "#core/errors/main.ts";
import { UNPRIVILEGED } from "#main/confine/policies.ts";
import { tlsError } from "#core/errors/tls.ts";

const CREDENTIAL = "penstock-seal";
export const SEAL_KEY_FILE = "seal.key";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORM = "v1.";

export class Sealing {
  readonly #key: Buffer;
  readonly #fingerprintKey: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
    this.#fingerprintKey = createHmac("sha256", key).update("fingerprints").digest();
  }

  /** The same for the same secret in the same context, and nothing that can be guessed at without the key. */
  fingerprint(secret: Uint8Array, context: string): string {
    return createHmac("sha256", this.#fingerprintKey).update(`${context}\0`).update(secret).digest("hex");
  }

  seal(secret: Uint8Array, context: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce).setAAD(Buffer.from(context));
    const sealed = Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    return FORM + sealed.toString("base64");
  }

  /** Throws PENSTOCK_TLS_SEALED when it was sealed with another key or context, or changed. */
  open(sealed: string, context: string): Uint8Array {
    const bytes = Buffer.from(sealed.slice(FORM.length), "base64");
    try {
      if (!sealed.startsWith(FORM)) throw new Error("another form");
      const decipher = createDecipheriv("aes-256-gcm", this.#key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-TAG_BYTES));
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      throw tlsError("PENSTOCK_TLS_SEALED", { detail: context, cause });
    }
  }
}

/** Throws PENSTOCK_MAIN_DATA when the key is not as it must be. */
export function openSealing(dataDir: string, environment: NodeJS.ProcessEnv = process.env): Sealing {
  const credentials = environment["CREDENTIALS_DIRECTORY"];
  if (credentials !== undefined) {
    const given = credential(join(credentials, CREDENTIAL));
    // Of any length and form: what counts is that nobody can guess it.
    if (given !== null) return new Sealing(createHash("sha256").update(given).digest());
  }
  return new Sealing(keyFile(join(dataDir, SEAL_KEY_FILE)));
}

function credential(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw mainError("PENSTOCK_MAIN_DATA", { detail: `credential ${CREDENTIAL}: ${String(error)}`, cause: error });
  }
}

/** The data directory is the control process's: no link is followed, and a file that is not ours is refused. */
function keyFile(path: string): Buffer {
  try {
    writeFileSync(path, randomBytes(KEY_BYTES), { flag: "wx", mode: 0o600, flush: true });
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) {
      throw mainError("PENSTOCK_MAIN_DATA", { detail: `${path}: ${String(error)}`, cause: error });
    }
  }
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { uid, mode } = fstatSync(fd);
    const key = readFileSync(fd);
    const own = process.getuid?.() ?? -1;
    // Root takes over what an ordinary user's gateway has left; never what the control process could have put there.
    const trusted = uid === own || (own === 0 && uid !== UNPRIVILEGED.uid);
    if (!trusted || (mode & 0o077) !== 0 || key.length !== KEY_BYTES) {
      throw mainError("PENSTOCK_MAIN_DATA", {
        detail: `${path} must be this user's, mode 0600, of ${KEY_BYTES} bytes`,
      });
    }
    return key;
  } finally {
    closeSync(fd);
  }
}
