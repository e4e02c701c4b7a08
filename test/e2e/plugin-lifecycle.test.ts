/**
 * A tenant's whole path by the command line alone, each step a process: an empty folder, a plugin, two versions of it
 * behind a route, and away again. What it prints, and its exit codes.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock, type Ran } from "#test/support/penstock.ts";
import { freePort } from "#test/support/ports.ts";

/** The plugin that the contract shows, as its author would write it. */
const SOURCE = `import { Request, Action, config, respond } from "penstock/assembly"

export function onRequest(req: Request): Action {
  if (req.header("x-token") != config().get("token")) return respond(401, "no token\\n")
  req.setHeader("x-checked", "1")
  return Action.Continue
}
`;
const CASES = {
  config: { token: "s3cret" },
  cases: [
    { name: "no token", expect: { verdict: "reply", status: 401, body: "no token\n" } },
    {
      name: "the token",
      request: { headers: { "x-token": "s3cret" } },
      expect: { verdict: "continue", request: { "x-checked": "1" }, fuelMax: 10_000 },
    },
  ],
};

const upstream = http.createServer((request, response) => {
  response.end(`checked ${request.headers["x-checked"] ?? "not at all"}\n`);
});
let folder: string;
let gateway: Gateway;
let declared: (version: string) => string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "penstock-lifecycle-"));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const web = await freePort();
  const base = `listeners:
  - { name: web, address: "127.0.0.1:${web}", protocol: http }
upstreams:
  - { name: api, endpoints: [{ address: "127.0.0.1:${(upstream.address() as AddressInfo).port}" }] }
tenants:
  - { name: acme, hosts: ["*"] }
`;
  declared = (version) => `${base}plugins:
  - { name: checker, tenant: acme, version: "1" }
${version === "2" ? '  - { name: checker, tenant: acme, version: "2" }\n' : ""}routes:
  - name: orders
    tenant: acme
    match: { path: { prefix: /orders } }
    filters:
      - { plugin: "checker@${version}", config: { token: s3cret } }
    upstream: api
`;
  gateway = await startGateway({ config: base });
});

afterAll(async () => {
  await gateway?.stop();
  upstream.closeAllConnections();
  upstream.close();
  rmSync(folder, { recursive: true, force: true });
});

const run = (...args: readonly string[]): Promise<Ran> =>
  penstock({ cwd: folder, env: { PENSTOCK_SERVER: `unix:${gateway.adminSocket}` } }, ...args);

async function succeeds(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await run(...args);
  expect([code, err], args.join(" ")).toEqual([0, ""]);
  return out;
}

async function json(...args: readonly string[]): Promise<unknown> {
  return JSON.parse(await succeeds(...args, "--json"));
}

const orders = async (headers: Record<string, string> = {}): Promise<string> => {
  const { status, body } = await gateway.request("web", "/orders", { headers });
  return `${status} ${body.trim()}`;
};

/** In order: each step needs those before it. */
describe("a plugin's life", () => {
  it("is written, tested and built without a gateway", async () => {
    expect(await succeeds("plugin", "new", "checker")).toContain("checker is made");
    writeFileSync(join(folder, "checker/assembly/index.ts"), SOURCE);
    writeFileSync(join(folder, "checker/test/cases.json"), JSON.stringify(CASES));
    expect(await succeeds("plugin", "build", "checker")).toMatch(/checker\/build\/checker\.wasm: \d+ bytes/);
    const tested = await succeeds("plugin", "test", "checker");
    expect(tested).toMatch(/ok .*: the token +\d+ fuel[^]*2 passed, 0 failed/);
  });

  it("is pushed and put on a route", async () => {
    expect(await succeeds("plugin", "push", "acme/checker@1", "checker")).toContain("is uploaded");
    writeFileSync(join(folder, "penstock.yaml"), declared("1"));
    expect(await succeeds("diff", "-f", "penstock.yaml")).toBe("+ routes acme/orders\nnothing was changed (dry run)\n");
    expect((await gateway.request("web", "/orders")).status).toBe(404);
    expect(await succeeds("apply", "-f", "penstock.yaml")).toMatch(
      /^\+ routes acme\/orders\nrevision 3 is in force\n$/,
    );
    expect(await orders()).toBe("401 no token");
    expect(await orders({ "x-token": "s3cret" })).toBe("200 checked 1");
  });

  it("is listed, inspected and explained", async () => {
    const [list, one, route, explained, exported] = await Promise.all([
      json("plugin", "ls", "acme"),
      succeeds("plugin", "inspect", "acme/checker@1"),
      json("get", "route", "acme/orders"),
      json("explain", "GET", `http://127.0.0.1:${gateway.port("web")}/orders/7`),
      succeeds("export"),
    ]);
    expect(list).toMatchObject([{ tenant: "acme", name: "checker", version: "1" }]);
    expect(one).toMatch(/^abi +penstock 2\n[^]*^imports .*reply/m);
    expect(route).toMatchObject({ name: "orders", filters: [{ plugin: "checker@1" }] });
    expect(explained).toMatchObject({
      route: { tenant: "acme", name: "orders" },
      filters: [{ name: "checker@1", runs: "wasm" }],
      revision: 3,
    });
    writeFileSync(join(folder, "exported.yaml"), exported);
    expect(await succeeds("apply", "-f", "exported.yaml")).toBe("nothing to change; revision 3 is in force\n");
  });

  it("has a second version, and goes back to the first", async () => {
    const source = readFileSync(join(folder, "checker/assembly/index.ts"), "utf8");
    writeFileSync(join(folder, "checker/assembly/index.ts"), source.replace('"1")', '"twice")'));
    await succeeds("plugin", "build", "checker");
    const overwritten = await run("plugin", "push", "acme/checker@1", "checker");
    expect(overwritten).toMatchObject({ code: 1, out: "", err: expect.stringContaining("PENSTOCK_CONTROL_EXISTS") });
    await succeeds("plugin", "push", "acme/checker@2", "checker");
    expect(await orders({ "x-token": "s3cret" })).toBe("200 checked 1");
    writeFileSync(join(folder, "penstock.yaml"), declared("2"));
    expect(await succeeds("apply", "-f", "penstock.yaml")).toContain("~ routes acme/orders");
    expect(await orders({ "x-token": "s3cret" })).toBe("200 checked twice");
    expect(await json("rollback", "3")).toMatchObject({ revision: 6, state: "applied" });
    expect(await orders({ "x-token": "s3cret" })).toBe("200 checked 1");
    expect(await json("revisions")).toMatchObject([{ number: 6, current: true }, {}, {}, {}, {}, { number: 1 }]);
  });

  it("a declaration that is broken names line, pointer and mend, and changes nothing", async () => {
    const broken = declared("1").replace("address:", "adress:").replace("upstream: api", "upstream: apy");
    writeFileSync(join(folder, "broken.yaml"), broken);
    const { code, out, err } = await run("apply", "-f", "broken.yaml");
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/^broken\.yaml:2:18 \/listeners\/0\/adress: .*did you mean "address"\?/m);
    expect(err).toMatch(/^broken\.yaml:15:\d+ \/routes\/0\/upstream: .*did you mean "api"\?/m);
    writeFileSync(join(folder, "broken.yaml"), declared("1").replace("routes:\n", "routes:\n\t- x\n"));
    expect((await run("apply", "-f", "broken.yaml")).err).toMatch(/^broken\.yaml:\d+:\d+.*mend/m);
    writeFileSync(join(folder, "broken.yaml"), declared("1").replaceAll("checker", "chequer"));
    expect((await run("apply", "-f", "broken.yaml", "--json")).code).toBe(1);
    expect(await orders({ "x-token": "s3cret" })).toBe("200 checked 1");
    expect(await json("revisions")).toHaveLength(6);
  });

  it("ends: not before its route", async () => {
    expect(await run("plugin", "rm", "acme/checker@1")).toMatchObject({
      code: 1,
      err: expect.stringContaining("PENSTOCK_CONTROL_IN_USE"),
    });
    await succeeds("delete", "route", "acme/orders");
    expect(await succeeds("plugin", "rm", "acme/checker@1")).toContain("- plugins acme/checker@1");
    expect(await json("get", "plugins")).toEqual([]);
    expect((await gateway.request("web", "/orders")).status).toBe(404);
  });
});

it("is not started without: `run` names the place of a module that is missing", async () => {
  writeFileSync(join(folder, "start.yaml"), declared("1").replace('"1" }', '"1", file: nowhere.wasm }'));
  const { code, err } = await run("run", "-f", "start.yaml", "--data", join(folder, "data"));
  expect(code).toBe(1);
  expect(err).toMatch(/^start\.yaml:8:\d+: "nowhere\.wasm" can't be read; .* at \/plugins\/0\/file\)$/m);
});

it("an address that is taken is told at its line, and nothing is changed", async () => {
  const text = await succeeds("export");
  const taken = (upstream.address() as AddressInfo).port;
  writeFileSync(join(folder, "taken.yaml"), text.replace(/address: (.*)\n/, `address: 127.0.0.1:${taken}\n`));
  const { code, out, err } = await run("apply", "-f", "taken.yaml");
  expect([code, out]).toEqual([1, ""]);
  expect(err).toMatch(/^taken\.yaml:3:\d+ \/listeners\/0\/address: .*EADDRINUSE/m);
  expect((await gateway.request("web", "/")).status).toBe(404);
});

it("tells what the machine and the kernel part do", async () => {
  const [findings, status] = await Promise.all([json("doctor"), json("kernel", "status")]);
  expect(findings).toHaveProperty("findings");
  expect(status).toHaveProperty("notes");
});

it.each([
  [["plugin", "push", "checker", "checker"], 2, "TENANT/NAME@VERSION"],
  [["plugin", "pull"], 2, "plugin push TENANT/NAME@VERSION"],
  [["apply"], 2, "--file is missing"],
  [["explain", "GET", "/orders"], 2, "absolute URL"],
  [["rollback", "77"], 1, "77"],
  [["get", "listeners", "--server", "unix:/nowhere.sock"], 1, "PENSTOCK_CLI_UNREACHABLE"],
])("%j ends with %i", async (args, code, words) => {
  expect(await run(...args)).toMatchObject({ code, out: "", err: expect.stringContaining(words) });
});
