/**
 * A JSON Web Token (RFC 7519) in the compact form of RFC 7515, taken apart strictly: three parts of base64url without
 * padding, a header that names an algorithm and asks for nothing that is not understood here.
 */
import type { JwtAlgorithm } from "#snapshot/builtin-filters.ts";
import { ALGORITHMS } from "./algorithms.ts";

export type Claims = Readonly<Record<string, unknown>>;

export interface Token {
  readonly algorithm: JwtAlgorithm;
  readonly kid: string | undefined;
  /** What the signature is over. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  readonly claims: Claims;
}

/** A bound on what is decoded for a stranger. */
export const TOKEN_BYTES_MAX = 8192;

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** The parts, or in words what is wrong. Nothing about the token has been proved. */
export function readToken(text: string): Token | string {
  const parts = text.length > TOKEN_BYTES_MAX ? null : COMPACT.exec(text);
  if (parts === null) return "the token is malformed";
  const [, headerPart = "", claimsPart = "", signaturePart = ""] = parts;
  const header = record(headerPart);
  const claims = record(claimsPart);
  if (header === null || claims === null) return "the token is malformed";
  const algorithm = header["alg"];
  // `none` is no algorithm here either.
  if (typeof algorithm !== "string" || !Object.hasOwn(ALGORITHMS, algorithm))
    return "the token's algorithm is not taken";
  if (header["crit"] !== undefined) return "the token asks for an extension that is not known";
  const kid = header["kid"];
  return {
    algorithm: algorithm as JwtAlgorithm,
    kid: typeof kid === "string" ? kid : undefined,
    signed: Buffer.from(`${headerPart}.${claimsPart}`, "latin1"),
    signature: Buffer.from(signaturePart, "base64url"),
    claims,
  };
}

function record(part: string): Claims | null {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(part, "base64url").toString());
  } catch {
    return null;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Claims) : null;
}
