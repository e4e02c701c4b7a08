/** Secrets by the admin API: given, referred to, replaced and deleted, and shown to nobody. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { secretContext } from "#snapshot/secrets.ts";
import { FakeSupervisor, type Call, type Reply } from "./fake-supervisor.ts";

const FIRST = "hunter2-the-first";
const SECOND = "hunter2-the-second";
const PATH = "/v1/tenants/acme/secrets/api-key";
const create = { "if-none-match": "*" };

let gateway: FakeSupervisor;
const tokens = new Map<string, string>();

const as = (tenant: string, method: string, path: string, call: Call = {}): Promise<Reply> =>
  gateway.call(method, path, call, tokens.get(tenant) ?? "");
const acme = (method: string, path: string, body?: object, headers: Call["headers"] = { "if-match": "*" }) =>
  as("acme", method, path, { headers, ...(body === undefined ? {} : { body }) });
const route = (value: string) => ({
  upstream: "api",
  filters: [{ builtin: "headers", config: { request: { set: { authorization: value } } } }],
});

/** What the workers are given last, as the fake supervisor has sealed it. */
function sealed(): unknown {
  return gateway.applied.at(-1)?.secrets;
}
function sealOf(value: string, name = "api-key"): object {
  const context = secretContext({ tenant: "acme", name });
  return { tenant: "acme", name, sealed: `${context} ${Buffer.from(value).toString("base64")}` };
}

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/listeners/web", { address: "127.0.0.1:8080", protocol: "http" });
  await gateway.put("/v1/upstreams/api", { endpoints: [{ address: "127.0.0.1:9001" }] });
  for (const name of ["acme", "bravo"]) {
    await gateway.put(`/v1/tenants/${name}`, { hosts: [`${name}.example`], quotas: { secrets: 2 } });
    const body = { name, scopes: [`tenant:${name}:write`] };
    const { json } = await gateway.call("POST", "/v1/tokens", { body });
    tokens.set(name, (json as { token: string }).token);
  }
});
afterAll(() => gateway.dispose());

it("is given, and reaches the workers once a filter refers to it", async () => {
  const put = await acme("PUT", PATH, { value: FIRST }, create);
  const made = { tenant: "acme", name: "api-key", fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) as string };
  expect([put.status, put.json]).toEqual([201, made]);
  expect(sealed()).toBeUndefined();
  const got = await acme("GET", PATH);
  expect([got.json, got.headers.etag]).toEqual([put.json, put.headers.etag]);
  const routed = await acme("PUT", "/v1/tenants/acme/routes/orders", route("Bearer ${secret:api-key}"), create);
  expect(routed.status, routed.text).toBe(201);
  expect(sealed()).toEqual([sealOf(FIRST)]);
});

it("the same value is no change; another is one, and a roll-back finds the one before", async () => {
  const before = gateway.applied.at(-1)?.revision ?? 0;
  const same = await acme("PUT", PATH, { value: FIRST });
  expect([same.status, same.headers["penstock-revision"]]).toEqual([200, String(before)]);
  const tried = await acme("PUT", `${PATH}?dryRun=true`, { value: "tried-only" });
  expect(tried.json).toMatchObject({
    state: "dry-run",
    diff: [{ op: "change", kind: "secrets", name: "acme/api-key" }],
  });
  const patched = await acme("PATCH", PATH, undefined, { "if-match": "*" });
  expect(patched.status).toBe(415);
  const patch = {
    raw: JSON.stringify({ value: SECOND }),
    headers: { "content-type": "application/merge-patch+json", "if-match": "*" },
  };
  expect((await as("acme", "PATCH", PATH, patch)).status).toBe(200);
  expect(sealed()).toEqual([sealOf(SECOND)]);
  const back = await gateway.call("POST", `/v1/revisions/${before}/rollback`);
  expect(back.status, back.text).toBe(200);
  expect(sealed()).toEqual([sealOf(FIRST)]);
});

it("a declaration without values keeps those that were given", async () => {
  const { json, headers } = await acme("GET", "/v1/tenants/acme/config");
  const config = json as { secrets: object[] };
  const named = { ...config, secrets: [{ name: "api-key" }] };
  const sent = await acme("PUT", "/v1/tenants/acme/config", named, { "if-match": headers.etag ?? "" });
  expect(sent.json).toMatchObject({ state: "unchanged" });
  const other = { ...config, secrets: [...config.secrets, { name: "new" }] };
  const refused = await acme("PUT", "/v1/tenants/acme/config", other);
  expect([refused.status, refused.json]).toMatchObject([
    422,
    { errors: [{ pointer: "/secrets/1", code: "PENSTOCK_CONFIG_REQUIRED" }] },
  ]);
});

it.each([
  ["nothing", {}, "", "PENSTOCK_CONFIG_REQUIRED"],
  ["an empty value", { value: "" }, "/value", "PENSTOCK_CONFIG_VALUE"],
  ["a value that is too long", { value: "x".repeat(65_537) }, "/value", "PENSTOCK_CONFIG_VALUE"],
  ["a number", { value: 5 }, "/value", "PENSTOCK_CONFIG_TYPE"],
  ["a fingerprint that nobody gave", { fingerprint: "0".repeat(64) }, "/fingerprint", "PENSTOCK_CONFIG_VALUE"],
])("refuses %s", async (_, body, pointer, code) => {
  const { status, json } = await acme("PUT", "/v1/tenants/acme/secrets/other", body, create);
  expect([status, json]).toMatchObject([422, { errors: [{ pointer, code }] }]);
});

it("is refused where it is missing, misspelt, or of no use", async () => {
  const refused = async (body: object) => (await acme("PUT", "/v1/tenants/acme/routes/wrong", body, create)).json;
  expect(await refused(route("${secret:api-kye}"))).toMatchObject({
    status: 422,
    errors: [{ pointer: "/filters/0/config", detail: expect.stringContaining('did you mean "api-key"?') as string }],
  });
  const fault = { builtin: "static-response", config: { body: "${secret:api-key}" } };
  expect(await refused({ upstream: "api", filters: [fault] })).toMatchObject({
    errors: [{ pointer: "/filters/0/config", code: "PENSTOCK_CONFIG_UNSUPPORTED" }],
  });
});

it("is not deleted while a filter refers to it", async () => {
  const { status, json } = await acme("DELETE", PATH);
  expect([status, json]).toMatchObject([409, { code: "PENSTOCK_CONTROL_IN_USE" }]);
});

it("is one tenant's: another neither sees, names, takes nor revives it", async () => {
  for (const method of ["GET", "DELETE"])
    expect((await as("bravo", method, PATH, { headers: { "if-match": "*" } })).status).toBe(404);
  const named = await as("bravo", "PUT", "/v1/tenants/bravo/routes/r", {
    body: route("${secret:api-key}"),
    headers: create,
  });
  expect(named.json).toMatchObject({ status: 422, errors: [{ code: "PENSTOCK_CONFIG_REFERENCE" }] });
  const { fingerprint } = (await acme("GET", PATH)).json as { fingerprint: string };
  const taken = await as("bravo", "PUT", "/v1/tenants/bravo/secrets/api-key", {
    body: { fingerprint },
    headers: create,
  });
  expect(taken.json).toMatchObject({ status: 422, errors: [{ pointer: "/fingerprint" }] });
  const equal = await as("bravo", "PUT", "/v1/tenants/bravo/secrets/api-key", {
    body: { value: FIRST },
    headers: create,
  });
  expect((equal.json as { fingerprint: string }).fingerprint).not.toBe(fingerprint);
});

it("there are no more than the tenant's quota", async () => {
  expect((await acme("PUT", "/v1/tenants/acme/secrets/two", { value: "v" }, create)).status).toBe(201);
  const third = await acme("PUT", "/v1/tenants/acme/secrets/three", { value: "v" }, create);
  expect(third.json).toMatchObject({ status: 422, errors: [{ code: "PENSTOCK_CONFIG_QUOTA" }] });
});

it("no answer, no log and no file has a value", async () => {
  const shown = ["/v1/config", "/v1/tenants/acme/config", "/v1/tenants/acme/secrets", "/v1/revisions", "/v1/audit"];
  const texts = await Promise.all(shown.map(async (path) => (await gateway.call("GET", path)).text));
  // It is written behind the answer.
  await expect.poll(() => existsSync(join(gateway.dataDir, "snapshot.json"))).toBe(true);
  for (const file of ["store.db", "store.db-wal", "snapshot.json"]) {
    texts.push(readFileSync(join(gateway.dataDir, file)).toString("latin1"));
  }
  for (const text of [...texts, gateway.log]) expect(text).not.toMatch(/hunter2/);
});

it("outlives the process", async () => {
  await gateway.kill();
  await gateway.start();
  await expect.poll(sealed).toEqual([sealOf(FIRST)]);
});
