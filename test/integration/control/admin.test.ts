import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readLastGood } from "#control/store/last-good.ts";
import { accept, FakeSupervisor, wasmModule, type Reply } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
});
afterAll(() => gateway.dispose());

const listener = { address: "127.0.0.1:8080", protocol: "http" };
const upstream = { endpoints: [{ address: "127.0.0.1:9001" }] };
const tenant = { hosts: ["*.acme.example"], quotas: { routes: 2, pluginBytes: 1000 }, allow: { maps: ["blocklist"] } };
const routeBody = { listeners: ["web"], match: { hosts: ["shop.acme.example"] }, upstream: "api" };

function problem(reply: Reply, status: number, code: string): void {
  expect(reply.json).toMatchObject({
    status,
    code: `PENSTOCK_${code}`,
    type: expect.stringContaining("urn:penstock:error:"),
  });
  expect(reply.status).toBe(status);
  expect(reply.headers["content-type"]).toBe("application/problem+json");
}

async function etag(path: string): Promise<string> {
  return (await gateway.call("GET", path)).headers.etag ?? "";
}

describe("resources", () => {
  it("are created, each change a revision that the workers run", async () => {
    for (const [path, body] of [
      ["/v1/listeners/web", listener],
      ["/v1/upstreams/api", upstream],
      ["/v1/kernel/maps/blocklist", { type: "lpm-trie", key: "ip-prefix", value: "expiry", maxEntries: 100 }],
      ["/v1/kernel/maps/hits", { type: "hash", key: "ip", value: "counter", maxEntries: 100 }],
      ["/v1/tenants/acme", tenant],
      ["/v1/tenants/acme/routes/orders", routeBody],
    ] as const) {
      const reply = await gateway.put(path, body);
      expect([path, reply.status, reply.text]).toEqual([path, 201, expect.any(String)]);
      expect(reply.headers["penstock-revision"]).toBe(String(gateway.applied.length));
    }
    expect(gateway.applied).toHaveLength(6);
    expect(gateway.applied[5]).toMatchObject({
      revision: 6,
      listeners: [{ name: "web", transparent: false }],
      routes: [
        {
          name: "orders",
          tenant: "acme",
          listeners: [0],
          action: { kind: "upstream", split: [{ upstream: 0, weight: 1 }] },
        },
      ],
    });
    await expect.poll(() => readLastGood(gateway.dataDir)).toEqual(gateway.applied[5]);
  });

  it("are read, with ETags and 304", async () => {
    const reply = await gateway.call("GET", "/v1/tenants/acme/routes/orders");
    expect(reply.json).toEqual({ tenant: "acme", name: "orders", ...routeBody });
    const again = await gateway.call("GET", "/v1/tenants/acme/routes/orders", {
      headers: { "if-none-match": reply.headers.etag ?? "" },
    });
    expect([again.status, again.text]).toEqual([304, ""]);
    problem(await gateway.call("GET", "/v1/listeners/nope"), 404, "CONTROL_NOT_FOUND");
    problem(await gateway.call("GET", "/v1/nothing/here"), 404, "CONTROL_NOT_FOUND");
  });

  it("are listed by pages", async () => {
    const first = await gateway.call("GET", "/v1/kernel/maps?limit=1");
    expect(first.json).toMatchObject({ items: [{ name: "blocklist" }], next: "blocklist" });
    const second = await gateway.call("GET", "/v1/kernel/maps?limit=1&cursor=blocklist");
    expect(second.json).toEqual({ items: [expect.objectContaining({ name: "hits" })] });
    problem(await gateway.call("GET", "/v1/kernel/maps?limit=0"), 400, "CONTROL_BAD_REQUEST");
    problem(await gateway.call("GET", "/v1/kernel/maps?lmit=1"), 400, "CONTROL_BAD_REQUEST");
  });

  it("are changed only by who knows what is there", async () => {
    const path = "/v1/upstreams/api";
    const body = { endpoints: [{ address: "127.0.0.1:9002" }] };
    const before = gateway.applied.length;
    problem(await gateway.call("PUT", path, { body }), 428, "CONTROL_PRECONDITION_REQUIRED");
    problem(
      await gateway.call("PUT", path, { body, headers: { "if-match": '"other"' } }),
      412,
      "CONTROL_PRECONDITION_FAILED",
    );
    problem(
      await gateway.call("PUT", path, { body, headers: { "if-none-match": "*" } }),
      412,
      "CONTROL_PRECONDITION_FAILED",
    );
    problem(
      await gateway.call("PUT", "/v1/upstreams/new", { body, headers: { "if-match": '"x"' } }),
      412,
      "CONTROL_PRECONDITION_FAILED",
    );
    expect(gateway.applied).toHaveLength(before);
    const reply = await gateway.call("PUT", path, { body, headers: { "if-match": await etag(path) } });
    expect(reply.status).toBe(200);
    expect(reply.headers.etag).toBe(await etag(path));
  });

  it("are refused with all errors, pointing into what was sent", async () => {
    const reply = await gateway.put("/v1/tenants/acme/routes/bad", {
      listners: ["web"],
      match: { hosts: ["other.example"] },
      upstream: "apy",
    });
    problem(reply, 422, "CONFIG_INVALID");
    expect(reply.json).toMatchObject({
      errors: expect.arrayContaining([
        { pointer: "/listners", code: "PENSTOCK_CONFIG_UNKNOWN_FIELD", detail: expect.stringContaining('"listeners"') },
        { pointer: "/match/hosts/0", code: "PENSTOCK_CONFIG_HOST_FOREIGN", detail: expect.any(String) },
        { pointer: "/upstream", code: "PENSTOCK_CONFIG_REFERENCE", detail: expect.stringContaining('"api"') },
      ]),
    });
    problem(await gateway.put("/v1/tenants/acme/routes/bad", { ...routeBody, name: "worse" }), 422, "CONFIG_INVALID");
    problem(await gateway.put("/v1/tenants/bravo", { hosts: ["*.acme.example"] }), 409, "CONFIG_CONFLICT");
  });

  it("are deleted unless something refers to them", async () => {
    const path = "/v1/upstreams/api";
    problem(await gateway.call("DELETE", path, { headers: { "if-match": await etag(path) } }), 409, "CONTROL_IN_USE");
    problem(await gateway.call("DELETE", path), 428, "CONTROL_PRECONDITION_REQUIRED");
    await gateway.put("/v1/upstreams/spare", upstream);
    const gone = await gateway.call("DELETE", "/v1/upstreams/spare", { headers: { "if-match": "*" } });
    expect(gone.json).toMatchObject({ state: "applied", diff: [{ op: "remove", kind: "upstreams", name: "spare" }] });
    problem(
      await gateway.call("DELETE", "/v1/upstreams/spare", { headers: { "if-match": "*" } }),
      404,
      "CONTROL_NOT_FOUND",
    );
  });
});

describe("requests", () => {
  it.each([
    ["a wrong method", "POST", "/v1/listeners/web", {}, 405, "CONTROL_METHOD"],
    [
      "a wrong type",
      "PUT",
      "/v1/listeners/web",
      { raw: "{}", headers: { "content-type": "text/plain" } },
      415,
      "CONTROL_MEDIA_TYPE",
    ],
    ["no type", "PUT", "/v1/listeners/web", { raw: "{}" }, 415, "CONTROL_MEDIA_TYPE"],
    [
      "broken JSON",
      "PUT",
      "/v1/listeners/web",
      { raw: "{", headers: { "content-type": "application/json" } },
      400,
      "CONFIG_SYNTAX",
    ],
    ["a list", "PUT", "/v1/listeners/web", { body: [] }, 422, "CONFIG_INVALID"],
    ["null", "PUT", "/v1/config", { body: null, headers: { "if-match": "*" } }, 422, "CONFIG_INVALID"],
    ["a string", "PUT", "/v1/config", { body: "x", headers: { "if-match": "*" } }, 422, "CONFIG_INVALID"],
    [
      "bytes that are no text",
      "PUT",
      "/v1/config",
      { raw: Uint8Array.of(0xff), headers: { "content-type": "application/json" } },
      400,
      "CONTROL_BAD_REQUEST",
    ],
    ["a path that is no text", "GET", "/v1/listeners/%ff", {}, 400, "CONTROL_BAD_REQUEST"],
    ["too much", "PUT", "/v1/listeners/web", { body: { address: "x".repeat(2 ** 20) } }, 413, "CONTROL_TOO_LARGE"],
  ] as const)("are refused with %s", async (_what, method, path, call, status, code) => {
    problem(await gateway.call(method, path, call), status, code);
  });

  it("name the methods that are allowed", async () => {
    expect((await gateway.call("POST", "/v1/listeners/web")).headers.allow).toBe("GET, HEAD, PUT, PATCH, DELETE");
    const head = await gateway.call("HEAD", "/v1/listeners/web");
    expect([head.status, head.text]).toEqual([200, ""]);
  });
});

describe("a whole declaration", () => {
  it("is replaced as one revision, and dry runs change nothing", async () => {
    const { json, headers } = await gateway.call("GET", "/v1/config");
    const declaration = { ...(json as object), settings: { accessLog: "off" } };
    const before = gateway.applied.length;
    const dry = await gateway.call("PUT", "/v1/config?dryRun=true", { body: declaration });
    expect(dry.json).toMatchObject({
      state: "dry-run",
      diff: [{ op: "change", kind: "settings", fields: [{ pointer: "/accessLog", after: "off" }] }],
    });
    expect(gateway.applied).toHaveLength(before);
    problem(await gateway.call("PUT", "/v1/config", { body: declaration }), 428, "CONTROL_PRECONDITION_REQUIRED");
    const match = { "if-match": headers.etag ?? "" };
    const real = await gateway.call("PUT", "/v1/config", { body: declaration, headers: match });
    expect(real.json).toMatchObject({
      state: "applied",
      revision: gateway.applied.at(-1)?.revision,
      notes: ["maps are in user space"],
    });
    expect(gateway.applied.at(-1)?.settings.accessLog).toBe("off");
    problem(
      await gateway.call("PUT", "/v1/config", { body: declaration, headers: match }),
      412,
      "CONTROL_PRECONDITION_FAILED",
    );
    const same = await gateway.call("PUT", "/v1/config", {
      body: declaration,
      headers: { "if-match": real.headers.etag ?? "" },
    });
    expect(same.json).toMatchObject({ state: "unchanged", diff: [] });
  });

  it("may be YAML, and errors then have line and column", async () => {
    const raw = "listeners:\n  - name: web\n    adress: 127.0.0.1:80\n    protocol: http\n";
    const call = { raw, headers: { "content-type": "application/yaml", "if-match": "*" } };
    const reply = await gateway.call("PUT", "/v1/config", call);
    problem(reply, 422, "CONFIG_INVALID");
    expect(reply.json).toMatchObject({
      errors: expect.arrayContaining([expect.objectContaining({ pointer: "/listeners/0/adress", at: "body:3:5" })]),
    });
    problem(await gateway.call("PUT", "/v1/config", { ...call, raw: "a: [1" }), 400, "CONFIG_SYNTAX");
  });

  it("that the workers refuse leaves the old one serving", async () => {
    const etagBefore = await etag("/v1/config");
    const revision = gateway.applied.at(-1)?.revision;
    gateway.applyAnswer = ({ id }) => ({
      type: "applied",
      id,
      ok: false,
      results: [
        { worker: 0, ok: true },
        { worker: 1, ok: false, error: "address in use" },
      ],
      kernel: { ok: false, error: "the verifier refused firewall" },
    });
    const reply = await gateway.put("/v1/listeners/second", { address: "127.0.0.1:8081", protocol: "http" });
    gateway.applyAnswer = accept;
    problem(reply, 422, "CONTROL_APPLY_REFUSED");
    expect(reply.json).toMatchObject({
      errors: [{ detail: "worker 1: address in use" }, { detail: "kernel: the verifier refused firewall" }],
    });
    expect(await etag("/v1/config")).toBe(etagBefore);
    await expect.poll(() => readLastGood(gateway.dataDir)?.revision).toBe(revision);
    const revisions = await gateway.call("GET", "/v1/revisions?limit=2");
    expect(revisions.json).toMatchObject({
      items: [
        { state: "refused", reason: "worker 1: address in use; kernel: the verifier refused firewall", current: false },
        { state: "applied", number: revision, current: true },
      ],
    });
  });

  it("need not be waited for", async () => {
    const gate = Promise.withResolvers<void>();
    gateway.applyAnswer = async (request) => {
      await gate.promise;
      return accept(request);
    };
    const reply = await gateway.put(
      "/v1/listeners/second",
      { address: "127.0.0.1:8081", protocol: "http" },
      "?wait=false",
    );
    expect(reply.status).toBe(202);
    const { revision } = reply.json as { revision: number };
    const state = async () => (await gateway.call("GET", `/v1/revisions/${revision}`)).json;
    expect(await state()).toMatchObject({ state: "pending", current: false });
    gate.resolve();
    await expect.poll(state).toMatchObject({ state: "applied", current: true });
    gateway.applyAnswer = accept;
  });

  it("comes back by a roll-back, as a new revision", async () => {
    const first = (await gateway.call("GET", "/v1/revisions/6")).json as { declaration: object };
    const reply = await gateway.call("POST", "/v1/revisions/6/rollback");
    expect(reply.json).toMatchObject({ state: "applied" });
    expect((await gateway.call("GET", "/v1/config")).json).toEqual(first.declaration);
    problem(await gateway.call("POST", "/v1/revisions/999/rollback"), 404, "CONTROL_NOT_FOUND");
  });
});

describe("plugins", () => {
  const path = "/v1/tenants/acme/plugins/token-check/versions/1";

  it("are uploaded as they are, and named by routes", async () => {
    const reply = await gateway.upload(path, wasmModule(1));
    expect(reply.status).toBe(201);
    expect(reply.json).toMatchObject({
      tenant: "acme",
      name: "token-check",
      version: "1",
      bytes: 13,
      facts: { abi: "penstock" },
    });
    expect((await gateway.upload(path, wasmModule(1))).status).toBe(200);
    problem(await gateway.upload(path, wasmModule(2)), 409, "CONTROL_EXISTS");
    expect(gateway.built.length).toBeLessThanOrEqual(2);
    const filters = [{ plugin: "token-check@1", config: { token: "s3cret" }, allow: { maps: ["blocklist"] } }];
    expect((await gateway.put("/v1/tenants/acme/routes/orders", { ...routeBody, filters })).status).toBe(200);
    expect(gateway.applied.at(-1)?.routes[0]?.filters).toEqual([
      expect.objectContaining({
        plugin: 0,
        config: { token: "s3cret" },
        onFault: "deny",
        allow: { upstreams: [], maps: [0] },
      }),
    ]);
    expect(gateway.applied.at(-1)?.plugins[0]?.digest).not.toBe((reply.json as { digest: string }).digest);
    expect((await gateway.call("GET", "/v1/tenants/acme/plugins")).json).toMatchObject({
      items: [{ name: "token-check" }],
    });
    problem(await gateway.call("DELETE", path, { headers: { "if-match": "*" } }), 409, "CONTROL_IN_USE");
  });

  it("are refused with the builder's reason", async () => {
    const reply = await gateway.upload("/v1/tenants/acme/plugins/bad/versions/1", Buffer.from("not wasm"));
    problem(reply, 422, "CONTROL_MODULE");
    expect(reply.json).toMatchObject({
      errors: [{ code: "PENSTOCK_WASM_INVALID", detail: "no magic number (at byte 0)" }],
    });
    problem(await gateway.upload("/v1/tenants/nobody/plugins/a/versions/1", wasmModule(3)), 404, "CONTROL_NOT_FOUND");
    problem(
      await gateway.upload("/v1/tenants/acme/plugins/a/versions/1", new Uint8Array(1001)),
      413,
      "CONTROL_TOO_LARGE",
    );
    problem(
      await gateway.upload(
        "/v1/tenants/acme/plugins/a/versions/1",
        Buffer.concat([wasmModule(1), new Uint8Array(980)]),
      ),
      422,
      "CONFIG_INVALID",
    );
    const asJson = await gateway.call("PUT", path, { body: {} });
    problem(asJson, 415, "CONTROL_MEDIA_TYPE");
  });
});

describe("tokens", () => {
  async function token(...scopes: string[]): Promise<string> {
    const reply = await gateway.call("POST", "/v1/tokens", {
      body: { name: scopes.join(" ").replaceAll(":", "."), scopes },
    });
    expect(reply.status).toBe(201);
    return (reply.json as { token: string }).token;
  }

  it("are needed over TCP, and the first start has written one", async () => {
    problem(await gateway.call("GET", "/v1/listeners", {}, ""), 401, "CONTROL_UNAUTHENTICATED");
    problem(await gateway.call("GET", "/v1/listeners", {}, `pst_${"A".repeat(43)}`), 401, "CONTROL_UNAUTHENTICATED");
    const file = join(gateway.dataDir, "admin.token");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { readFileSync } = await import("node:fs");
    const reply = await gateway.call("GET", "/v1/tokens", {}, readFileSync(file, "utf8").trim());
    expect(reply.status).toBe(200);
    expect(reply.text).not.toMatch(/pst_|hash/);
    expect((await gateway.call("GET", "/livez", {}, "")).text).toBe("ok\n");
  });

  it("allow what their scopes say", async () => {
    const tenants = "/v1/tenants/acme";
    await gateway.put("/v1/tenants/bravo", { hosts: ["bravo.example"] });
    const rows: [string, string, string, number][] = [
      ["operator", "GET", "/v1/listeners", 200],
      ["operator", "GET", "/v1/tokens", 403],
      ["read", "GET", `${tenants}/routes`, 200],
      ["read", "DELETE", `${tenants}/routes/orders`, 403],
      ["read", "GET", "/metrics", 200],
      ["metrics", "GET", "/metrics", 200],
      ["metrics", "GET", "/v1/listeners", 403],
      ["tenant:acme:write", "GET", `${tenants}/routes/orders`, 200],
      ["tenant:acme:write", "DELETE", `${tenants}/routes/nope`, 404],
      ["tenant:acme:write", "GET", "/v1/tenants/bravo/routes", 404],
      ["tenant:acme:write", "GET", "/v1/tenants/bravo", 404],
      ["tenant:acme:write", "PUT", "/v1/tenants/acme", 403],
      ["tenant:acme:write", "GET", "/v1/config", 403],
      ["tenant:acme:read", "DELETE", `${tenants}/routes/orders`, 403],
    ];
    for (const [scope, method, path, status] of rows) {
      expect([scope, method, path, (await gateway.call(method, path, {}, await token(scope))).status]).toEqual([
        scope,
        method,
        path,
        status,
      ]);
    }
  });

  it("let a tenant change its own routes, within its grants", async () => {
    const own = await token("tenant:acme:write");
    const call = (upstreamName: string) => ({
      headers: { "if-none-match": "*" },
      body: { ...routeBody, upstream: upstreamName },
    });
    expect((await gateway.call("PUT", "/v1/tenants/acme/routes/mine", call("api"), own)).status).toBe(201);
    expect((await gateway.call("GET", "/v1/revisions?limit=1")).json).toMatchObject({
      items: [{ author: "tenant.acme.write" }],
    });
    problem(await gateway.call("PUT", "/v1/tenants/acme/routes/third", call("api"), own), 422, "CONFIG_INVALID");
  });

  it("end when they are revoked or have expired", async () => {
    const revoked = await token("read");
    const listed = (await gateway.call("GET", "/v1/tokens?limit=1000")).json as {
      items: { id: string; name: string; createdMs: number }[];
    };
    for (const { id, name } of listed.items) if (name === "read") await gateway.call("DELETE", `/v1/tokens/${id}`);
    problem(await gateway.call("GET", "/v1/listeners", {}, revoked), 401, "CONTROL_UNAUTHENTICATED");
    problem(await gateway.call("POST", "/v1/tokens", { body: { name: "x", scopes: ["root"] } }), 422, "CONFIG_INVALID");
    problem(await gateway.call("DELETE", "/v1/tokens/nope"), 404, "CONTROL_NOT_FOUND");
  });
});

describe("kernel maps", () => {
  const entries = "/v1/kernel/maps/blocklist/entries";

  it("hold entries with a time to live", async () => {
    const path = `${entries}/203.0.113.0%2F24`;
    expect((await gateway.call("PUT", path, { body: { ttlSeconds: 60 } })).json).toMatchObject({
      key: "203.0.113.0/24",
    });
    const { ttlSeconds } = (await gateway.call("GET", path)).json as { ttlSeconds: number };
    expect(ttlSeconds).toBeGreaterThan(55);
    expect(ttlSeconds).toBeLessThanOrEqual(60);
    await gateway.call("PUT", `${entries}/2001:db8::%2F32`, { body: { ttlSeconds: null } });
    const first = await gateway.call("GET", `${entries}?limit=1`);
    expect(first.json).toMatchObject({ items: [{ key: "203.0.113.0/24" }], next: "203.0.113.0/24" });
    const rest = await gateway.call("GET", `${entries}?limit=1&cursor=203.0.113.0%2F24`);
    expect(rest.json).toEqual({ items: [{ key: "2001:db8::/32", ttlSeconds: null }] });
    expect((await gateway.call("DELETE", path)).status).toBe(204);
    problem(await gateway.call("DELETE", path), 404, "CONTROL_NOT_FOUND");
    problem(await gateway.call("GET", path), 404, "CONTROL_NOT_FOUND");
  });

  it("hold counters, and refuse what doesn't fit", async () => {
    expect((await gateway.call("PUT", "/v1/kernel/maps/hits/entries/::1", { body: { value: 7 } })).json).toEqual({
      key: "::1",
      value: 7,
    });
    problem(
      await gateway.call("PUT", "/v1/kernel/maps/hits/entries/::1", { body: { ttlSeconds: 7 } }),
      422,
      "CONTROL_MAP",
    );
    problem(await gateway.call("GET", `${entries}/host.example`), 422, "BPF_MAP_TEXT");
    problem(await gateway.call("GET", "/v1/kernel/maps/nope/entries"), 404, "CONTROL_NOT_FOUND");
  });
});

describe("status", () => {
  it("tells people and machines", async () => {
    expect((await gateway.call("GET", "/readyz")).text).toBe("ok\n");
    expect((await gateway.call("GET", "/v1/status")).json).toMatchObject({
      workers: [{ state: "ready" }],
      kernel: { active: false },
    });
    const metrics = await gateway.call("GET", "/metrics");
    expect(metrics.text).toContain(
      '# TYPE penstock_requests counter\n# HELP penstock_requests Requests\npenstock_requests_total{route="a\\"b"} 3\n',
    );
    expect(metrics.text.endsWith("# EOF\n")).toBe(true);
    const explained = await gateway.call(
      "GET",
      "/v1/explain?method=POST&url=http://shop.acme.example/orders&header=X-Beta:%201",
    );
    expect(explained.json).toMatchObject({ action: "POST http://shop.acme.example/orders", reasons: ["x-beta=1"] });
    problem(await gateway.call("GET", "/v1/explain?url=nonsense"), 400, "CONTROL_BAD_REQUEST");
  });

  it("describes itself", async () => {
    const document = (await gateway.call("GET", "/openapi.json")).json as {
      openapi: string;
      paths: Record<string, object>;
    };
    expect(document.openapi).toBe("3.1.0");
    expect(Object.keys(document.paths["/v1/tenants/{tenant}/routes/{name}"] ?? {})).toEqual([
      "get",
      "put",
      "patch",
      "delete",
    ]);
    const ids = Object.values(document.paths).flatMap((path) =>
      Object.values(path).map((one: { operationId: string }) => one.operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect((await gateway.call("GET", "/v1/schema")).json).toMatchObject({
      type: "object",
      additionalProperties: false,
    });
  });
});
