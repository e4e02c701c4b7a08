/**
 * A set of keys (RFC 7517 section 5) as they check signatures. What can't be used here (another type, a key for
 * encryption, a weak one) is left out, as section 5 asks: a set may hold keys for others.
 */
import { createPublicKey, createSecretKey, type JsonWebKeyInput, type KeyObject } from "node:crypto";
import type { JsonWebKeySpec, JwtAlgorithm } from "#snapshot/builtin-filters.ts";
import { ALGORITHMS } from "./algorithms.ts";

/** RFC 7518 section 3.2: not shorter than the hash, of which the shortest has 32 bytes. */
const SECRET_BYTES_MIN = 32;
/** RFC 7518 section 3.3. */
const RSA_BITS_MIN = 2048;
/** Of one set: a bound on what an upstream can make us keep. */
const KEYS_MAX = 100;

interface Key {
  readonly kid: string | undefined;
  /** What it may be used with, of those that the configuration allows. */
  readonly algorithms: ReadonlySet<JwtAlgorithm>;
  readonly object: KeyObject;
}

export class KeySet {
  readonly #keys: readonly Key[];

  constructor(keys: readonly JsonWebKeySpec[], allowed: readonly JwtAlgorithm[]) {
    this.#keys = keys.slice(0, KEYS_MAX).flatMap((key) => usable(key, allowed));
  }

  get size(): number {
    return this.#keys.length;
  }

  /** Keys that may have made a signature: those of that id, or without an id all that fit. */
  find(algorithm: JwtAlgorithm, kid: string | undefined): KeyObject[] {
    const found: KeyObject[] = [];
    for (const key of this.#keys) {
      if (!key.algorithms.has(algorithm)) continue;
      if (kid === undefined || key.kid === undefined || key.kid === kid) found.push(key.object);
    }
    return found;
  }
}

function usable(key: JsonWebKeySpec, allowed: readonly JwtAlgorithm[]): Key[] {
  if (key["use"] !== undefined && key["use"] !== "sig") return [];
  const operations = key["key_ops"];
  if (Array.isArray(operations) && !operations.includes("verify")) return [];
  const algorithms = allowed.filter((name) => {
    const { kty, crv } = ALGORITHMS[name];
    return key["kty"] === kty && (crv === undefined || key["crv"] === crv) && (key["alg"] ?? name) === name;
  });
  const object = algorithms.length === 0 ? null : objectOf(key);
  if (object === null) return [];
  const kid = typeof key["kid"] === "string" ? key["kid"] : undefined;
  return [{ kid, algorithms: new Set(algorithms), object }];
}

/** Null for what is no key, or too weak a one. */
function objectOf(key: JsonWebKeySpec): KeyObject | null {
  if (key["kty"] === "oct") {
    return isShortSecret(key) ? null : createSecretKey(secretOf(key));
  }
  let object: KeyObject;
  try {
    object = createPublicKey({ key: key as JsonWebKeyInput["key"], format: "jwk" });
  } catch {
    // A set may come from elsewhere: what OpenSSL does not take for a key is not one of ours.
    return null;
  }
  const bits = object.asymmetricKeyDetails?.modulusLength;
  return bits !== undefined && bits < RSA_BITS_MIN ? null : object;
}

/** A key for HMAC that anybody could guess. */
export function isShortSecret(key: JsonWebKeySpec): boolean {
  return key["kty"] === "oct" && secretOf(key).length < SECRET_BYTES_MIN;
}

function secretOf(key: JsonWebKeySpec): Buffer {
  return Buffer.from(String(key["k"] ?? ""), "base64url");
}

/** The keys of a JWK set as text, or null when it is none. */
export function readKeySet(text: string): JsonWebKeySpec[] | null {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof data !== "object" || data === null || !("keys" in data) || !Array.isArray(data.keys)) return null;
  return data.keys.filter((key): key is JsonWebKeySpec => typeof key === "object" && key !== null);
}
