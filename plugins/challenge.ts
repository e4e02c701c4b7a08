/**
 * Whose credentials a request is asked for (RFC 9110 section 11): an origin's, by WWW-Authenticate; or, of a CONNECT, a proxy's, which
 * the client does not send to who is behind it.
 */
import { METHOD_CONNECT, type Head } from "#http/head.ts";
import { AUTHORIZATION, PROXY_AUTHORIZATION } from "#http/names.ts";
import { REPLY, type Exchange, type Verdict } from "#pipeline/filter.ts";

/** The field that the credentials come in. */
export function credentialField(request: Head): number {
  return request.method === METHOD_CONNECT ? PROXY_AUTHORIZATION : AUTHORIZATION;
}

/** 401, or 407. */
export function respondChallenge(exchange: Exchange, challenge: string, body: Uint8Array): Verdict {
  const asProxy = exchange.request.method === METHOD_CONNECT;
  const field = asProxy ? "proxy-authenticate" : "www-authenticate";
  exchange.respond(asProxy ? 407 : 401, [[field, challenge]], body);
  return REPLY;
}
