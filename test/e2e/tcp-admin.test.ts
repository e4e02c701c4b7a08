/** The admin API over TCP, as `run --admin` opens it: who has no token gets nothing; the Unix socket needs none. */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock, type Ran } from "#test/support/penstock.ts";
import { freePort } from "#test/support/ports.ts";

let gateway: Gateway;
let server: string;

beforeAll(async () => {
  const admin = `127.0.0.1:${await freePort()}`;
  server = `http://${admin}`;
  gateway = await startGateway({
    args: ["--admin", admin],
    config: {
      listeners: [{ name: "web", address: `127.0.0.1:${await freePort()}`, protocol: "http" }],
      tenants: [
        { name: "acme", hosts: ["acme.example"] },
        { name: "bravo", hosts: ["bravo.example"] },
      ],
    },
  });
});
afterAll(() => gateway?.stop());

async function status(method: string, path: string, token?: string): Promise<number> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(`${server}${path}`, { method, headers });
  const body = await answer.text();
  if (answer.status >= 400) expect(JSON.parse(body)).toMatchObject({ status: answer.status });
  return answer.status;
}

const remote = (token: string, ...args: string[]): Promise<Ran> =>
  penstock({ cwd: gateway.data, env: { PENSTOCK_SERVER: server, PENSTOCK_TOKEN: token } }, ...args);

it("takes the token of the first start, which only its owner can read, and no other", async () => {
  const file = join(gateway.data, "admin.token");
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const token = readFileSync(file, "utf8").trim();
  expect(gateway.logs.join("\n")).toContain(file);
  expect(gateway.logs.join("\n")).not.toContain(token);
  expect(await status("GET", "/v1/listeners", token)).toBe(200);
  for (const wrong of [undefined, "", `${token}x`, token.slice(0, -1), token.toUpperCase()]) {
    expect(await status("GET", "/v1/listeners", wrong)).toBe(401);
  }
  expect(await status("GET", "/livez")).toBe(200);
});

it("allows what a token's scope says: 403 for what it may not, 404 for what is another tenant's", async () => {
  const admin = readFileSync(join(gateway.data, "admin.token"), "utf8").trim();
  const scope = "tenant:acme:write";
  const made = await remote(admin, "token", "create", "--name", "acme-ci", "--scope", scope, "--json");
  expect(made).toMatchObject({ code: 0, err: "" });
  const { token } = JSON.parse(made.out) as { token: string };
  expect(await status("GET", "/v1/tenants/acme/routes", token)).toBe(200);
  expect(await status("GET", "/v1/tenants/bravo/routes", token)).toBe(404);
  expect(await status("GET", "/v1/config", token)).toBe(403);
  expect(await status("GET", "/v1/tokens", token)).toBe(403);
  expect(await remote(token, "export")).toMatchObject({
    code: 1,
    out: "",
    err: expect.stringContaining("PENSTOCK_CONTROL_FORBIDDEN"),
  });
});

it("needs none over the Unix socket, which is its owner's alone", async () => {
  expect(statSync(gateway.adminSocket).mode & 0o777).toBe(0o600);
  expect((await gateway.admin("GET", "/v1/tokens")).status).toBe(200);
  const local = { cwd: gateway.data, env: { PENSTOCK_SERVER: "", PENSTOCK_TOKEN: "" } };
  expect(await penstock(local, "get", "listeners", "--data", gateway.data)).toMatchObject({ code: 0, err: "" });
});

it.runIf(process.getuid?.() === 0)("another user of this machine is told that it may not", async () => {
  const stranger = { cwd: "/", uid: 54321, env: { PENSTOCK_TOKEN: "" } };
  const { code, err } = await penstock(stranger, "get", "listeners", "--server", gateway.adminSocket);
  expect([code, err]).toEqual([1, expect.stringContaining("PENSTOCK_CLI_PERMISSION")]);
});
