/** What a tenant's token can do to its own things by REST, and that nothing of it reaches another's. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { FakeSupervisor, wasmModule, type Call, type Reply } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
let acme: string;
let bravo: string;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/listeners/web", { address: "127.0.0.1:8080", protocol: "http" });
  await gateway.put("/v1/upstreams/api", { endpoints: [{ address: "127.0.0.1:9001" }] });
  const allow = { endpoints: ["10.1.0.0/16"] };
  await gateway.put("/v1/tenants/acme", { hosts: ["*.acme.example"], allow, quotas: { upstreams: 2 } });
  await gateway.put("/v1/tenants/bravo", { hosts: ["bravo.example"], allow });
  acme = await token("tenant:acme:write");
  bravo = await token("tenant:bravo:write");
  await as(bravo, "PUT", "/v1/tenants/bravo/routes/b", {
    body: { upstream: "api" },
    headers: { "if-none-match": "*" },
  });
});
afterAll(() => gateway.dispose());

async function token(scope: string): Promise<string> {
  const reply = await gateway.call("POST", "/v1/tokens", {
    body: { name: scope.replaceAll(":", "."), scopes: [scope] },
  });
  return (reply.json as { token: string }).token;
}

const as = (who: string, method: string, path: string, call: Call = {}): Promise<Reply> =>
  gateway.call(method, path, call, who);
const create = { "if-none-match": "*" };
const own = { endpoints: [{ address: "10.1.0.1:80" }] };

it("a tenant's upstream has a name of its own, and hides the gateway's of that name from that tenant alone", async () => {
  const put = await as(acme, "PUT", "/v1/tenants/acme/upstreams/api", { body: own, headers: create });
  expect([put.status, put.json]).toEqual([201, { tenant: "acme", name: "api", ...own }]);
  await as(acme, "PUT", "/v1/tenants/acme/routes/a", { body: { upstream: "api" }, headers: create });
  const snapshot = gateway.applied.at(-1);
  const target = (tenant: string) => {
    const action = snapshot?.routes.find((route) => route.tenant === tenant)?.action;
    return action?.kind === "upstream" ? snapshot?.upstreams[action.split[0]?.upstream ?? -1]?.name : undefined;
  };
  expect([target("acme"), target("bravo")]).toEqual(["acme/api", "api"]);
  expect((await gateway.call("GET", "/v1/upstreams")).json).toMatchObject({ items: [{ name: "api" }] });
  expect((await as(acme, "GET", "/v1/tenants/acme/upstreams")).json).toMatchObject({ items: [{ tenant: "acme" }] });
  const operators = await gateway.call("PUT", "/v1/upstreams/x", { body: { ...own, tenant: "acme" }, headers: create });
  expect([operators.status, operators.json]).toMatchObject([422, { errors: [{ pointer: "/tenant" }] }]);
});

it("what a tenant uses of its quotas is shown to it, and of all tenants to operators", async () => {
  const { status, json } = await as(acme, "GET", "/v1/tenants/acme/usage");
  expect([status, json]).toMatchObject([
    200,
    { tenant: "acme", routes: { used: 1, allowed: 1000 }, upstreams: { used: 1, allowed: 2 }, guests: { used: 0 } },
  ]);
  expect((await as(acme, "GET", "/v1/tenants/bravo/usage")).status).toBe(404);
  expect((await as(acme, "GET", "/v1/usage")).status).toBe(403);
  const all = await gateway.call("GET", "/v1/usage?limit=1");
  expect(all.json).toMatchObject({ items: [{ tenant: "acme" }], next: "acme" });
  expect((await gateway.call("GET", "/v1/usage?cursor=acme")).json).toMatchObject({ items: [{ tenant: "bravo" }] });
});

it("a tenant's upstream leads only where the operator granted, and there are no more than its quota", async () => {
  for (const address of ["127.0.0.1:9001", "10.2.0.1:80", "unix:/run/admin.sock"]) {
    const body = { endpoints: [{ address }] };
    const reply = await as(acme, "PUT", "/v1/tenants/acme/upstreams/evil", { body, headers: create });
    expect([address, reply.status, reply.json]).toMatchObject([
      address,
      422,
      { errors: [{ pointer: "/endpoints/0/address", code: "PENSTOCK_CONFIG_GRANT" }] },
    ]);
  }
  await as(acme, "PUT", "/v1/tenants/acme/upstreams/two", { body: own, headers: create });
  const third = await as(acme, "PUT", "/v1/tenants/acme/upstreams/three", { body: own, headers: create });
  expect(third.json).toMatchObject({ errors: [{ code: "PENSTOCK_CONFIG_QUOTA" }] });
});

it("PATCH changes what it names, and needs the ETag of what is there", async () => {
  const path = "/v1/tenants/acme/upstreams/two";
  const patch = (raw: string, headers: Record<string, string> = {}) =>
    as(acme, "PATCH", path, { raw, headers: { "content-type": "application/merge-patch+json", ...headers } });
  const change = '{"timeouts":{"connectMs":7},"idleConnectionsMax":1}';
  expect((await patch(change)).status).toBe(428);
  expect((await patch(change, { "if-match": '"old"' })).status).toBe(412);
  const { etag = "" } = (await as(acme, "GET", path)).headers;
  const changed = await patch(change, { "if-match": etag });
  expect([changed.status, changed.json]).toEqual([
    200,
    { tenant: "acme", name: "two", ...own, timeouts: { connectMs: 7 }, idleConnectionsMax: 1 },
  ]);
  const removed = await patch('{"timeouts":{"connectMs":null,"requestMs":9}}', {
    "if-match": changed.headers.etag ?? "",
  });
  expect(removed.json).toMatchObject({ timeouts: { requestMs: 9 }, idleConnectionsMax: 1 });
  const any = { "if-match": "*" };
  expect((await patch('{"name":"three"}', any)).json).toMatchObject({ errors: [{ pointer: "/name" }] });
  expect((await patch('{"endpoints":null}', any)).status).toBe(422);
  expect((await patch("[]", any)).status).toBe(422);
  expect((await as(acme, "PATCH", path, { body: {}, headers: any })).status).toBe(415);
  const dry = await as(acme, "PATCH", `${path}?dryRun=true`, {
    raw: '{"idleConnectionsMax":2}',
    headers: { "content-type": "application/merge-patch+json" },
  });
  expect(dry.json).toMatchObject({ state: "dry-run", diff: [{ op: "change", name: "acme/two" }] });
  const settings = await gateway.call("PATCH", "/v1/settings", {
    raw: '{"accessLog":"off"}',
    headers: { "content-type": "application/merge-patch+json", "if-match": "*" },
  });
  expect([settings.status, gateway.applied.at(-1)?.settings.accessLog]).toEqual([200, "off"]);
});

it("a tenant's whole is replaced as one revision", async () => {
  const path = "/v1/tenants/acme/config";
  await gateway.upload("/v1/tenants/acme/plugins/p/versions/1", wasmModule(1), acme);
  const before = await as(acme, "GET", path);
  const { etag = "" } = before.headers;
  expect(Object.keys(before.json as object)).toEqual(["upstreams", "plugins", "routes"]);
  const same = await as(acme, "PUT", path, { body: before.json, headers: { "if-match": etag } });
  expect([same.json, same.headers.etag]).toMatchObject([{ state: "unchanged", diff: [] }, etag]);
  const applied = gateway.applied.length;
  const body = {
    upstreams: [{ name: "fresh", ...own }],
    plugins: [{ name: "p", version: "1" }],
    routes: [{ name: "r", upstream: "fresh", filters: [{ plugin: "p@1" }] }],
  };
  expect((await as(acme, "PUT", path, { body })).status).toBe(428);
  const put = await as(acme, "PUT", path, { body, headers: { "if-match": etag } });
  expect([put.status, gateway.applied.length, put.headers.etag]).toEqual([
    200,
    applied + 1,
    (await as(acme, "GET", path)).headers.etag,
  ]);
  expect(gateway.applied.at(-1)?.routes.map(({ tenant, name }) => `${tenant}/${name}`)).toEqual(["bravo/b", "acme/r"]);
  expect((await as(acme, "PUT", path, { body, headers: { "if-match": etag } })).status).toBe(412);
});

it("what is wrong with a tenant's whole is told all at once, in places of what was sent", async () => {
  const path = "/v1/tenants/acme/config";
  const headers = { "if-match": "*" };
  const refusals = async (call: Call) => {
    const reply = await as(acme, "PUT", path, call);
    const { errors } = reply.json as { errors: { pointer: string; code: string; at?: string }[] };
    return [reply.status, ...errors.map(({ pointer, code, at }) => [pointer, code.slice(16), at])];
  };
  const body = {
    upstreams: [{ name: "u", endpoints: [{ address: "127.0.0.1:1" }] }],
    routes: [
      { name: "r", upstream: "nope" },
      { name: "s", upstream: "u", match: { hosts: ["bravo.example"] } },
    ],
  };
  expect(await refusals({ body, headers })).toEqual([
    422,
    ["/routes/0/upstream", "REFERENCE", undefined],
    ["/routes/1/match/hosts/0", "HOST_FOREIGN", undefined],
    ["/upstreams/0/endpoints/0/address", "GRANT", undefined],
  ]);
  expect(await refusals({ body: { listeners: [], routes: [{ name: "x", tenant: "bravo" }] }, headers })).toEqual([
    422,
    ["/listeners", "UNKNOWN_FIELD", undefined],
    ["/routes/0/tenant", "VALUE", undefined],
  ]);
  const yaml = {
    raw: "routes:\n  - name: r\n    upstream: nope\n",
    headers: { "content-type": "application/yaml", ...headers },
  };
  expect(await refusals(yaml)).toEqual([422, ["/routes/0/upstream", "REFERENCE", "body:3:5"]]);
  const bravos = await gateway.upload("/v1/tenants/bravo/plugins/q/versions/1", wasmModule(2), bravo);
  const { digest } = bravos.json as { digest: string };
  expect(await refusals({ body: { plugins: [{ name: "q", version: "1", digest }] }, headers })).toEqual([
    422,
    ["/plugins/0/digest", "MODULE", undefined],
  ]);
  const reply = await as(acme, "PUT", path, {
    body: { routes: [{ name: "x", upstream: "api", match: { hosts: ["bravo.example"] } }] },
    headers,
  });
  expect(reply.text).not.toContain('"bravo"');
});

it("no operation that names a tenant answers another tenant's token with anything but 404", async () => {
  const { paths } = (await gateway.call("GET", "/openapi.json")).json as {
    paths: Record<string, Record<string, { requestBody?: { content: object } }>>;
  };
  const revision = gateway.applied.length;
  let tried = 0;
  for (const [path, operations] of Object.entries(paths)) {
    if (!path.includes("{tenant}")) continue;
    for (const [method, { requestBody }] of Object.entries(operations)) {
      const operated = path === "/v1/tenants/{tenant}" && method !== "get";
      const target = path.replace("{tenant}", "acme").replaceAll(/\{\w+\}/g, "p");
      const headers: Record<string, string> = { "if-match": "*" };
      const type = Object.keys(requestBody?.content ?? {})[0];
      if (type !== undefined) headers["content-type"] = type;
      const reply = await as(bravo, method.toUpperCase(), target, {
        headers,
        ...(type === undefined ? {} : { raw: "{}" }),
      });
      expect([method, path, reply.status]).toEqual([method, path, operated ? 403 : 404]);
      tried++;
    }
  }
  expect(tried).toBeGreaterThan(15);
  expect(gateway.applied.length).toBe(revision);
});
