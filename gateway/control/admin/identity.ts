/**
 * Who asks, and what they may do.
 *
 * Over the Unix socket the kernel says who it is (SO_PEERCRED): root and the owner of the socket own the gateway, and are
 * `admin`. Everyone else who can open it, and who comes over TCP, says it by a bearer token or, over TLS, by a certificate:
 * a token may stand for one, and its hash is then the certificate's. Tokens are random (256 bits), so one SHA-256 is all the hashing they need; the store finds the row by that hash,
 * and the hash is compared once more in constant time.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { controlError } from "#core/errors/control.ts";
import type { Store } from "#control/store/store.ts";

const SCOPE = /^(?:admin|operator|read|metrics|tenant:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?:(?:write|read))$/;

export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

export interface Identity {
  /** Stands in revisions as their author: `socket`, or the token's name. */
  readonly name: string;
  /** Stands in the audit log: names of tokens need not differ, so their ids are in it. */
  readonly who: string;
  /** Undefined: came by the socket. */
  readonly tokenId?: string;
  readonly scopes: ReadonlySet<string>;
}

/** What a request needs. Each is allowed to who has the scope of that name, and to those above. */
export type Access =
  /** Anyone who can connect. */
  | "public"
  | "metrics"
  /** Reading everything but tokens. */
  | "read"
  /** Changing everything but tokens. */
  | "operator"
  | "admin"
  /** Things of the tenant in the path. */
  | "tenant-read"
  | "tenant-write";

const SOCKET: Identity = { name: "socket", who: "socket", scopes: new Set(["admin"]) };

/** `unix`: by the Unix socket, from root or its owner; `unix-other`: from somebody else whom its mode has let in. */
export type Origin = "unix" | "unix-other" | "tcp";

/** Undefined: nobody we know. */
export function identify(
  origin: Origin,
  authorization: string | null,
  /** SHA-256 of the client's certificate. */
  certificate: Uint8Array | null,
  store: Store,
  nowMs: number,
): Identity | undefined {
  if (authorization !== null) return byToken(authorization, store, nowMs);
  if (certificate !== null) return byHash(certificate, store, nowMs);
  return origin === "unix" ? SOCKET : undefined;
}

function byToken(authorization: string, store: Store, nowMs: number): Identity | undefined {
  const match = /^Bearer (pst_[A-Za-z0-9_-]{43})$/i.exec(authorization);
  if (match?.[1] === undefined) return undefined;
  return byHash(hashToken(match[1]), store, nowMs);
}

function byHash(hash: Uint8Array, store: Store, nowMs: number): Identity | undefined {
  const token = store.tokenByHash(hash);
  if (token === undefined || !timingSafeEqual(token.hash, hash)) return undefined;
  if (token.expiresMs !== 0 && token.expiresMs <= nowMs) return undefined;
  return {
    name: token.name,
    who: `token ${token.id} (${token.name})`,
    tokenId: token.id,
    scopes: new Set(token.scopes),
  };
}

/** Throws 401, 403 or, for another tenant's things, 404: that they exist is nobody else's business. */
export function authorize(identity: Identity | undefined, access: Access, tenant: string | undefined): void {
  if (access === "public") return;
  if (identity === undefined) throw controlError("PENSTOCK_CONTROL_UNAUTHENTICATED");
  const { scopes } = identity;
  if (scopes.has("admin")) return;
  if (scopes.has("operator") && access !== "admin") return;
  const reads = access === "read" || access === "metrics" || access === "tenant-read";
  if (scopes.has("read") && reads) return;
  if (scopes.has("metrics") && access === "metrics") return;
  if (tenant !== undefined && (access === "tenant-read" || access === "tenant-write")) {
    const writes = scopes.has(`tenant:${tenant}:write`);
    if (writes || (access === "tenant-read" && scopes.has(`tenant:${tenant}:read`))) return;
    if (!scopes.has("read") && !scopes.has(`tenant:${tenant}:read`)) throw controlError("PENSTOCK_CONTROL_NOT_FOUND");
  }
  throw controlError("PENSTOCK_CONTROL_FORBIDDEN", { detail: `this needs ${needed(access, tenant)}` });
}

function needed(access: Access, tenant: string | undefined): string {
  if (access === "tenant-read" || access === "tenant-write") return `tenant:${tenant ?? "NAME"}:write or operator`;
  return access;
}

/** The tenant whose token makes a change; undefined: an operator's or the socket's. */
export function actorOf(identity: Identity, tenant: string): string | undefined {
  return identity.scopes.has("admin") || identity.scopes.has("operator") ? undefined : tenant;
}

/** A new token's text, which is shown once and never stored. */
export function newToken(): string {
  return `pst_${randomBytes(32).toString("base64url")}`;
}

export function hashToken(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}

/** A token may be revoked, or expire, while a stream that it opened goes on. */
export function tokenIsGood(
  { tokenId }: Identity,
  { store, now }: { readonly store: Store; readonly now: () => number },
): boolean {
  if (tokenId === undefined) return true;
  return store.tokens().some(({ id, expiresMs }) => id === tokenId && (expiresMs === 0 || expiresMs > now()));
}
