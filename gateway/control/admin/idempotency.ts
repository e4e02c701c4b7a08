/**
 * `Idempotency-Key`: a POST that is sent again with the same key is not done again, and gets the first one's answer
 * (draft-ietf-httpapi-idempotency-key-header). What was refused had no effect, and its key may be used again.
 *
 * The key is written down before anything is done, so that a crash in the middle is known as one: then nobody can say
 * what became of the request, and the client is told to look.
 *
 * An answer may hold a secret (a token's text), and the store keeps none in the clear. So it is sealed under the key
 * itself, of which the store has only a hash: only who knows the key can ask, and only the asking opens it.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { controlError } from "#core/errors/control.ts";
import type { KeptAnswers } from "#control/store/kept-answers.ts";
import { RESOURCE_BYTES_MAX, readBytes } from "./body.ts";

/** sf-string content is visible ASCII and spaces; the quotes are not required here, as hardly anybody sends them. */
const KEY = /^"?([\x21\x23-\x5b\x5d-\x7e]{1,255})"?$/;

/** What is given again: plain data. */
interface Replayable {
  readonly headers?: Readonly<Record<string, string>>;
}

type Handler<T> = (request: Request) => T | Promise<T>;

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Idempotency {
  readonly #kept: KeptAnswers;
  readonly #running = new Set<string>();

  constructor(kept: KeptAnswers) {
    this.#kept = kept;
  }

  /** Runs `handle` unless `who` has used this key before. Throws 400, 409 and 422. */
  async once<T extends Replayable>(key: string, who: string, request: Request, handle: Handler<T>): Promise<T> {
    const text = KEY.exec(key)?.[1];
    if (text === undefined)
      throw controlError("PENSTOCK_CONTROL_BAD_REQUEST", {
        detail: "an Idempotency-Key has 1 to 255 visible characters",
      });
    // One caller's keys are not another's.
    const id = sha256(`${who}\n${text}`);
    const name = id.toString("hex");
    const body = await readBytes(request, RESOURCE_BYTES_MAX);
    const { pathname, search } = new URL(request.url);
    const fingerprint = sha256(`${request.method} ${pathname}${search}\n`, body);
    const before = this.#kept.find(id);
    if (before !== undefined && !fingerprint.equals(before.fingerprint))
      throw controlError("PENSTOCK_CONTROL_KEY_REUSED");
    if (this.#running.has(name)) throw controlError("PENSTOCK_CONTROL_IN_PROGRESS");
    if (before?.sealed === null) throw controlError("PENSTOCK_CONTROL_INTERRUPTED");
    if (before !== undefined) return replay(unseal<T>(text, before.sealed));
    this.#running.add(name);
    this.#kept.begin(id, fingerprint);
    try {
      const answer = await handle(again(request, body));
      this.#kept.keep(id, seal(text, answer));
      return answer;
    } catch (error) {
      this.#kept.forget(id);
      throw error;
    } finally {
      this.#running.delete(name);
    }
  }
}

/** The same request with a body that can be read once more. */
function again(request: Request, body: Uint8Array): Request {
  const { method, url, headers } = request;
  return new Request(url, { method, headers, ...(body.length === 0 ? {} : { body: Buffer.from(body) }) });
}

function replay<T extends Replayable>(answer: T): T {
  return { ...answer, headers: { ...answer.headers, "idempotency-replayed": "true" } };
}

function sha256(...parts: readonly (string | Uint8Array)[]): Buffer {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function sealingKey(key: string): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", key, "", "penstock idempotent answer", 32));
}

/** nonce ‖ tag ‖ ciphertext, AES-256-GCM. */
function seal(key: string, answer: Replayable): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", sealingKey(key), nonce);
  const text = Buffer.concat([cipher.update(JSON.stringify(answer)), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), text]);
}

function unseal<T>(key: string, sealed: Uint8Array): T {
  const bytes = Buffer.from(sealed);
  const decipher = createDecipheriv("aes-256-gcm", sealingKey(key), bytes.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  return JSON.parse(text.toString()) as T;
}
