/** What a token says, and whether that is enough (RFC 7519 section 4.1). */
import type { JwtConfig } from "#snapshot/builtin-filters.ts";
import type { Claims } from "./token.ts";

/** Seconds since the epoch between which a token holds, leeway included. */
export interface Validity {
  readonly fromSeconds: number;
  readonly untilSeconds: number;
}

/** Everything but the time: in words what is missing, or null. */
export function claimsRefused(claims: Claims, config: JwtConfig): string | null {
  const { issuers, audiences, required } = config;
  if (issuers.length > 0 && !issuers.includes(String(claims["iss"] ?? ""))) return "the token's issuer is another";
  if (audiences.length > 0 && !audienceOf(claims).some((one) => audiences.includes(one))) {
    return "the token is for another audience";
  }
  for (const name of required)
    if (claims[name] === undefined || claims[name] === null) return `the token lacks ${name}`;
  for (const name of ["exp", "nbf", "iat"]) {
    const value = claims[name];
    if (value !== undefined && (typeof value !== "number" || !Number.isFinite(value)))
      return `the token's ${name} is no time`;
  }
  return null;
}

/** Section 4.1.3: one text, or a list of them. */
function audienceOf(claims: Claims): string[] {
  const { aud } = claims;
  if (typeof aud === "string") return [aud];
  return Array.isArray(aud) ? aud.filter((one) => typeof one === "string") : [];
}

export function validityOf(claims: Claims, { leewaySeconds, ageMaxSeconds }: JwtConfig): Validity {
  const { exp, nbf, iat } = claims;
  // What was issued in the future was issued by a clock we can't trust.
  const from = Math.max(typeof nbf === "number" ? nbf : -Infinity, typeof iat === "number" ? iat : -Infinity);
  const issued = typeof iat === "number" ? iat : -Infinity;
  const aged = ageMaxSeconds === undefined ? Infinity : issued + ageMaxSeconds;
  const until = Math.min(typeof exp === "number" ? exp : Infinity, aged);
  return { fromSeconds: from - leewaySeconds, untilSeconds: until + leewaySeconds };
}

/** Of a path such as `realm.role`: a field's value, or null where there is none that a field can hold. */
export function claimText(claims: Claims, path: string): string | null {
  let value: unknown = Object.hasOwn(claims, path) ? claims[path] : undefined;
  if (value === undefined) {
    value = claims;
    for (const name of path.split(".")) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return null;
      value = (value as Claims)[name];
    }
  }
  const text = Array.isArray(value) ? value.filter(isScalar).join(",") : isScalar(value) ? String(value) : null;
  // What a field can't hold, line ends above all, goes as percent escapes.
  return text === null ? null : text.replace(/[^!-$&-~]/gu, (one) => (one === " " ? one : escaped(one)));
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

function escaped(character: string): string {
  return [...Buffer.from(character)].map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, "0")}`).join("");
}
