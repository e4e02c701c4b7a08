/**
 * A tenant's token against every operation there is, as the OpenAPI document lists them: nothing of another tenant, and
 * nothing of the operator's, is read or changed. A new operation is tried the day it is added.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeSupervisor, wasmModule, type Reply } from "./fake-supervisor.ts";

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly types: readonly string[];
  readonly isPublic: boolean;
}

/** What only bravo has, and nobody else may learn. */
const SECRET = "bravos-own";
const HOSTS = "bravo-hidden.example";
/** Of path parameters: such as there are, so that a refusal can't be for want of the thing. */
const PARAMETERS: Readonly<Record<string, string>> = {
  name: SECRET,
  version: "1",
  number: "1",
  id: "first-start",
  map: "blocklist",
  key: "203.0.113.7",
  process: "worker-0",
};
const BODIES: Readonly<Record<string, string | Uint8Array>> = {
  "application/json": "{}",
  "application/merge-patch+json": "{}",
  "application/yaml": "{}",
  "application/wasm": wasmModule(7),
  "text/plain": "a word",
};

let gateway: FakeSupervisor;
let operations: Operation[] = [];
const tokens = new Map<string, string>();

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/listeners/web", { address: "127.0.0.1:8080", protocol: "http" });
  await gateway.put("/v1/upstreams/api", { endpoints: [{ address: "127.0.0.1:9001" }] });
  const map = { type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 100 };
  await gateway.put("/v1/kernel/maps/blocklist", map);
  await gateway.put("/v1/tenants/acme", { hosts: ["acme.example"] });
  await gateway.put("/v1/tenants/bravo", { hosts: [HOSTS] });
  await gateway.upload(`/v1/tenants/bravo/plugins/${SECRET}/versions/1`, wasmModule(1));
  await gateway.put(`/v1/tenants/bravo/secrets/${SECRET}`, { value: "a value" });
  await gateway.put(`/v1/tenants/bravo/upstreams/${SECRET}`, { endpoints: [{ address: "127.0.0.1:9002" }] });
  await gateway.put(`/v1/tenants/bravo/routes/${SECRET}`, { listeners: ["web"], upstream: "api" });
  for (const scope of ["tenant:acme:write", "tenant:acme:read", "metrics"]) {
    const { json } = await gateway.call("POST", "/v1/tokens", { body: { name: "t", scopes: [scope] } });
    tokens.set(scope, (json as { token: string }).token);
  }
  operations = operationsOf((await gateway.call("GET", "/openapi.json")).json);
});
afterAll(() => gateway.dispose());

function operationsOf(document: unknown): Operation[] {
  const { paths } = document as {
    paths: Record<string, Record<string, { security: unknown[]; requestBody?: { content: object } }>>;
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security, requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      types: Object.keys(requestBody?.content ?? {}),
      isPublic: security.length === 0,
    })),
  );
}

async function attempt({ method, path, types }: Operation, token: string, tenant = "bravo"): Promise<Reply> {
  const values: Readonly<Record<string, string>> = { ...PARAMETERS, tenant };
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? `no-such-${name}`);
  const type = types[0];
  const headers: Record<string, string> = { "if-match": "*", ...(type === undefined ? {} : { "content-type": type }) };
  const raw = type === undefined ? undefined : BODIES[type];
  expect(type === undefined || raw !== undefined, `a body of ${type ?? ""} is to be added here`).toBe(true);
  return gateway.call(method, filled, { headers, ...(raw === undefined ? {} : { raw }) }, token);
}

async function everything(): Promise<unknown> {
  const parts = [
    "/v1/config",
    "/v1/tokens?limit=1000",
    "/v1/tenants/bravo/config",
    "/v1/kernel/maps/blocklist/entries",
  ];
  return Promise.all(parts.map(async (path) => (await gateway.call("GET", path)).json));
}

describe.each(["tenant:acme:write", "tenant:acme:read", "metrics"])("a token with the scope %s", (scope) => {
  it("reads and changes nothing of another tenant's, and nothing of the operator's", async () => {
    expect(operations.length).toBeGreaterThan(40);
    const before = await everything();
    const let_in: string[] = [];
    for (const operation of operations) {
      const { method, path, isPublic } = operation;
      const { status, text } = await attempt(operation, tokens.get(scope) ?? "");
      const named = `${method} ${path}: ${status}`;
      expect(text, named).not.toContain(HOSTS);
      expect(text, named).not.toContain(SECRET);
      if (isPublic) continue;
      if (status < 400) let_in.push(named);
      else expect([403, 404], named).toContain(status);
      // That another tenant is there is nobody else's business.
      const absent = await attempt(operation, tokens.get(scope) ?? "", "nobody");
      if (path.includes("{tenant}")) expect(`${method} ${path}: ${absent.status}`).toBe(named);
    }
    expect(let_in).toEqual(scope === "metrics" ? ["GET /metrics: 200", "GET /v1/metrics: 200"] : []);
    expect(await everything()).toEqual(before);
  }, 60_000);
});
