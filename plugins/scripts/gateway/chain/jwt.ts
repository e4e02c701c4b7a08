/** Services with `jwt` want a token (RFC 7519, HS256) that has not expired; its subject goes on as `x-user`. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { Message, pipeline } from "penstock";
import { config } from "../config.ts";
import type { Request } from "../context.ts";

const refusal = new Message(
  { status: 401, headers: { "content-type": "text/plain", "www-authenticate": "Bearer" } },
  "a valid token is needed\n",
);

/** The subject, or undefined for what is no token of ours. */
function subjectOf(authorization: string | undefined): string | undefined {
  const [, header, payload, signature] = /^Bearer ([\w-]+)\.([\w-]+)\.([\w-]+)$/.exec(authorization ?? "") ?? [];
  if (header === undefined || payload === undefined || signature === undefined) return undefined;
  const expected = createHmac("sha256", config.jwtSecret).update(`${header}.${payload}`).digest();
  const given = Buffer.from(signature, "base64url");
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  const { alg } = decode(header) as { alg?: unknown };
  const { sub, exp } = decode(payload) as { sub?: unknown; exp?: unknown };
  const current = exp === undefined || (typeof exp === "number" && exp * 1000 > Date.now());
  return alg === "HS256" && current && typeof sub === "string" ? sub : undefined;
}

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, "base64url").toString());
}

export const jwt = pipeline<Request>(($) =>
  $.handleMessageStart((msg, ctx) => {
    // Nobody else says who it is.
    msg.head.remove("x-user");
    if (config.services[ctx.service ?? ""]?.jwt !== true) return;
    const user = subjectOf(msg.head.headers["authorization"]);
    if (user === undefined) return;
    ctx.user = user;
    msg.head.set("x-user", user);
  }).branch(
    (ctx) => config.services[ctx.service ?? ""]?.jwt === true && ctx.user === undefined,
    ($) => $.replaceMessage(refusal),
    ($) => $.pipeNext(),
  ),
);
