// Lets through who shows a JSON Web Token (RFC 7519) that is signed by the configured key, and tells the upstream whose it is.
//
// The algorithm is the route's, never the token's (RFC 8725 section 3.1). The host checks the signature; everything else is here.
import {
  Action, Algorithm, config, fromBase64url, json, log, nowMs, replyHeader, Request, respond, textOf, verify,
} from "penstock/assembly"

const NAMES: string[] = ["HS256", "RS256", "ES256", "EdDSA"]
/** Clocks differ. */
const LEEWAY_S: f64 = 60

let algorithm: Algorithm = Algorithm.HS256
let algorithmName = ""
let key = ""
let issuer: string | null = null
let audience: string | null = null
/** Header of the upstream's request by claim. */
const claims: string[] = []
const headers: string[] = []

export function onConfigure(): bool {
  const named = config().get("algorithm")
  const index = named === null ? 0 : NAMES.indexOf(named)
  const text = config().get("key")
  if (index < 0) {
    log.error("`algorithm` is none of HS256, RS256, ES256, EdDSA")
    return false
  }
  if (text === null || text.length == 0) {
    log.error("`key` is not set: the secret, or the public key as PEM")
    return false
  }
  algorithm = index as Algorithm
  algorithmName = NAMES[index]
  key = text
  issuer = config().get("issuer")
  audience = config().get("audience")
  const wanted = config().get("claims")
  const pairs = (wanted === null ? "sub=x-user" : wanted).split(" ")
  for (let at = 0; at < pairs.length; at++) {
    const pair = pairs[at].split("=")
    if (pair.length != 2) {
      log.error("`claims` is a list of claim=header")
      return false
    }
    claims.push(pair[0])
    headers.push(pair[1])
  }
  return true
}

export function onRequest(req: Request): Action {
  const authorization = req.header("authorization")
  if (authorization === null || !authorization.startsWith("Bearer ")) return refuse("", "no token\n")
  const payload = payloadOf(authorization.substring(7))
  if (payload === null) return refuse("invalid_token", "the token is not valid\n")
  const reason = whyNot(payload)
  if (reason.length > 0) return refuse("invalid_token", reason)
  for (let at = 0; at < claims.length; at++) {
    // What a client says of itself must not reach the upstream as if it were ours.
    req.removeHeader(headers[at])
    const value = json.text(payload, claims[at])
    if (value !== null) req.setHeader(headers[at], value)
  }
  return Action.Continue
}

/** The claims of a token that is well formed and well signed, or null. */
function payloadOf(token: string): string | null {
  const parts = token.split(".")
  if (parts.length != 3) return null
  const head = fromBase64url(parts[0])
  const payload = fromBase64url(parts[1])
  const signature = fromBase64url(parts[2])
  if (head === null || payload === null || signature === null) return null
  const named = json.text(textOf(head), "alg")
  if (named === null || named != algorithmName) return null
  return verify(algorithm, key, parts[0] + "." + parts[1], signature) ? textOf(payload) : null
}

/** Why these claims are of no use now; empty: they are. */
function whyNot(payload: string): string {
  const now = <f64>nowMs() / 1000
  const expiry = json.number(payload, "exp")
  if (isNaN(expiry) || expiry + LEEWAY_S < now) return "the token has expired\n"
  const start = json.number(payload, "nbf")
  if (!isNaN(start) && start - LEEWAY_S > now) return "the token is not valid yet\n"
  if (issuer !== null && !is(json.text(payload, "iss"), issuer!)) return "the token is of another issuer\n"
  if (audience !== null && !isAudience(payload, audience!)) return "the token is for another audience\n"
  return ""
}

function is(value: string | null, wanted: string): bool {
  return value !== null && value == wanted
}

/** RFC 7519 section 4.1.3: one text, or a list of them. */
function isAudience(payload: string, wanted: string): bool {
  if (is(json.text(payload, "aud"), wanted)) return true
  const list = json.raw(payload, "aud")
  return list !== null && list.startsWith("[") && list.includes(json.quote(wanted))
}

/** RFC 6750 section 3. */
function refuse(error: string, body: string): Action {
  replyHeader("www-authenticate", error.length == 0 ? "Bearer" : 'Bearer error="' + error + '"')
  return respond(401, body)
}
