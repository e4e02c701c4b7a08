/** Tokens: made, listed, revoked; their text is answered once and never kept. */
import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { controlError } from "#core/errors/control.ts";
import { fields } from "#control/config/fields.ts";
import { integer, list, sha256, text } from "#control/config/primitives.ts";
import { readJson, RESOURCE_BYTES_MAX } from "./body.ts";
import { hashToken, isScope, newToken } from "./identity.ts";
import { pageOf, PAGE_QUERY } from "./pages.ts";
import { parsed, route, type RouteSpec } from "./route.ts";
import type { Services } from "./services.ts";

const NewToken = fields("a token", {
  name: v.pipe(text, v.regex(/^[\w .@-]{1,64}$/, "a token's name has 1 to 64 letters, digits, blanks and . @ _ -")),
  scopes: v.pipe(
    list(
      v.pipe(
        text,
        v.check(isScope, "a scope is admin, operator, read, metrics, tenant:NAME:write or tenant:NAME:read"),
      ),
      100,
    ),
    v.minLength(1, "a token without scopes could do nothing"),
  ),
  /** SHA-256 of a client's certificate, hex: the token stands for it and has no text. */
  certificate: v.optional(sha256),
  /** Left out: until it is revoked. */
  ttlSeconds: v.optional(integer(1, 10 * 365 * 86_400)),
});

const TokenEntries = {
  id: v.string(),
  name: v.string(),
  scopes: v.array(v.string()),
  createdMs: v.number(),
  /** 0: never. */
  expiresMs: v.number(),
};
const TokenSchema = v.object(TokenEntries);

export function tokenRoutes({ store, now }: Services): RouteSpec[] {
  return [
    route({
      method: "GET",
      path: "/v1/tokens",
      operationId: "listTokens",
      summary: "List tokens",
      tag: "tokens",
      access: "admin",
      query: PAGE_QUERY,
      responses: {
        200: { description: "A page", schema: v.object({ items: v.array(TokenSchema), next: v.optional(v.string()) }) },
      },
      handle: (call) => pageOf(store.tokens(), ({ id }) => id, call),
    }),
    route({
      method: "POST",
      path: "/v1/tokens",
      operationId: "createToken",
      summary: "Make a token; its text is in this answer and nowhere else",
      tag: "tokens",
      access: "admin",
      body: { types: ["application/json"], schema: NewToken },
      responses: {
        201: { description: "The token", schema: v.object({ ...TokenEntries, token: v.optional(v.string()) }) },
      },
      handle: async ({ request, identity }) => {
        const { name, scopes, certificate, ttlSeconds } = parsed(NewToken, await readJson(request, RESOURCE_BYTES_MAX));
        const token = certificate === undefined ? newToken() : undefined;
        const hash = token === undefined ? Buffer.from(certificate ?? "", "hex") : hashToken(token);
        if (store.tokenByHash(hash) !== undefined)
          throw controlError("PENSTOCK_CONTROL_EXISTS", { detail: "the certificate has a token already" });
        const createdMs = now();
        const expiresMs = ttlSeconds === undefined ? 0 : createdMs + ttlSeconds * 1000;
        const stored = { id: randomBytes(6).toString("hex"), name, scopes, createdMs, expiresMs };
        store.addToken(stored, hash, identity.who);
        const body = token === undefined ? stored : { ...stored, token };
        return { status: 201, body, headers: { location: `/v1/tokens/${stored.id}` } };
      },
    }),
    route({
      method: "DELETE",
      path: "/v1/tokens/{id}",
      operationId: "revokeToken",
      summary: "Revoke a token, from its next request on",
      tag: "tokens",
      access: "admin",
      responses: { 204: { description: "Revoked" } },
      handle: ({ params, identity }) => {
        const id = params["id"] ?? "";
        if (!store.removeToken(id, identity.who))
          throw controlError("PENSTOCK_CONTROL_NOT_FOUND", { detail: `there is no token "${id}"` });
        return { status: 204 };
      },
    }),
  ];
}
