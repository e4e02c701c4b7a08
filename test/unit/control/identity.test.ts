import { expect, it } from "vitest";
import { PenstockError } from "#core/errors.ts";
import { authorize, hashToken, identify, isScope, newToken, type Access } from "#control/admin/identity.ts";
import type { Store } from "#control/store/store.ts";

const identity = (...scopes: string[]) => ({ name: "x", who: "x", scopes: new Set(scopes) });

function status(scopes: string[] | undefined, access: Access, tenant?: string): number {
  try {
    authorize(scopes === undefined ? undefined : identity(...scopes), access, tenant);
    return 200;
  } catch (error) {
    return error instanceof PenstockError ? error.status : 0;
  }
}

const ACCESSES: Access[] = ["public", "metrics", "read", "operator", "admin", "tenant-read", "tenant-write"];

it.each<[string, string[] | undefined, number[]]>([
  ["nobody", undefined, [200, 401, 401, 401, 401, 401, 401]],
  ["admin", ["admin"], [200, 200, 200, 200, 200, 200, 200]],
  ["operator", ["operator"], [200, 200, 200, 200, 403, 200, 200]],
  ["read", ["read"], [200, 200, 200, 403, 403, 200, 403]],
  ["metrics", ["metrics"], [200, 200, 403, 403, 403, 404, 404]],
  ["its tenant's writer", ["tenant:acme:write"], [200, 403, 403, 403, 403, 200, 200]],
  ["its tenant's reader", ["tenant:acme:read"], [200, 403, 403, 403, 403, 200, 403]],
  ["another tenant's writer", ["tenant:other:write"], [200, 403, 403, 403, 403, 404, 404]],
  ["who has no scopes", [], [200, 403, 403, 403, 403, 404, 404]],
])("%s", (_who, scopes, expected) => {
  expect(ACCESSES.map((access) => status(scopes, access, "acme"))).toEqual(expected);
});

it("scopes are a closed set", () => {
  expect(["admin", "operator", "read", "metrics", "tenant:a-b:write", "tenant:a:read"].every(isScope)).toBe(true);
  expect(["root", "tenant:A:write", "tenant::write", "tenant:a:admin", "admin "].some(isScope)).toBe(false);
});

it("a token is recognised by its hash alone, until it expires", () => {
  const text = newToken();
  expect(text).toMatch(/^pst_[A-Za-z0-9_-]{43}$/);
  const row = { id: "1", name: "ci", scopes: ["read"], createdMs: 0, expiresMs: 1000, hash: hashToken(text) };
  const store = { tokenByHash: (hash: Uint8Array) => (Buffer.from(hash).equals(row.hash) ? row : undefined) } as Store;
  const who = (authorization: string | null, nowMs: number) => identify("tcp", authorization, null, store, nowMs)?.name;
  expect(who(`Bearer ${text}`, 999)).toBe("ci");
  expect(who(`bearer ${text}`, 999)).toBe("ci");
  expect(who(`Bearer ${text}`, 1000)).toBeUndefined();
  for (const wrong of [newToken(), `${text}x`, text.slice(0, -1), "", "pst_"])
    expect(who(`Bearer ${wrong}`, 0)).toBeUndefined();
  expect(who(`Basic ${text}`, 0)).toBeUndefined();
  expect(who(null, 0)).toBeUndefined();
  // On the Unix socket a token that is sent counts, also to have less.
  expect(identify("unix", null, null, store, 0)?.scopes.has("admin")).toBe(true);
  expect(identify("unix", `Bearer ${text}`, null, store, 0)?.name).toBe("ci");
  expect(identify("unix", "Bearer nonsense", null, store, 0)).toBeUndefined();
});
