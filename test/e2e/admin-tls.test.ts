/** The admin API over TLS, open to other machines: who has no certificate of the authority's is nobody, and what one may do its token says. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { TestAuthority } from "#test/support/certificates.ts";
import { startGateway, type Gateway } from "#test/support/gateway.ts";
import { penstock, type Ran } from "#test/support/penstock.ts";
import { freePort } from "#test/support/ports.ts";

const ours = new TestAuthority("/CN=ours");
const theirs = new TestAuthority("/CN=theirs");
const server = ours.issue({ names: ["IP:127.0.0.1"] });
const operator = ours.issue({ subject: "/CN=operator" });
const unknown = ours.issue({ subject: "/CN=unknown" });
const stranger = theirs.issue({ subject: "/CN=operator" });
let gateway: Gateway;
let url: string;

beforeAll(async () => {
  const admin = `127.0.0.1:${await freePort()}`;
  url = `https://${admin}`;
  gateway = await startGateway({
    config: { tenants: [{ name: "acme", hosts: ["acme.example"] }] },
    args: [
      "--admin",
      admin,
      "--admin-cert",
      server.certificateFile,
      "--admin-key",
      server.keyFile,
      "--admin-ca",
      ours.certificateFile,
    ],
  });
});
afterAll(async () => {
  await gateway?.stop();
  ours.dispose();
  theirs.dispose();
});

function as(who: { certificateFile: string; keyFile: string } | null, ...args: string[]): Promise<Ran> {
  const env = {
    PENSTOCK_SERVER: url,
    PENSTOCK_CA: ours.certificateFile,
    PENSTOCK_CERT: who?.certificateFile ?? "",
    PENSTOCK_KEY: who?.keyFile ?? "",
  };
  return penstock({ cwd: gateway.data, env }, ...args);
}

it("knows a client by its certificate, which a token stands for, until that is revoked", async () => {
  const local = (...args: string[]) => penstock({ cwd: gateway.data }, ...args, "--data", gateway.data);
  const create = [
    "token",
    "create",
    "--name",
    "laptop",
    "--scope",
    "operator",
    "--certificate",
    operator.certificateFile,
  ];
  const made = await local(...create);
  expect(made).toMatchObject({ code: 0, err: "" });
  expect(made.out).toMatch(/^token \w+ stands for the certificate\n$/);
  expect((await local(...create)).err).toContain("the certificate has a token already");
  expect(await as(operator, "get", "tenant", "acme", "--json")).toMatchObject({ code: 0, err: "" });
  expect((await as(operator, "token", "ls")).err).toContain("PENSTOCK_CONTROL_FORBIDDEN");
  const id = /^token (\w+)/.exec(made.out)?.[1] ?? "";
  await local("token", "revoke", id);
  expect((await as(operator, "get", "tenant", "acme")).err).toContain("PENSTOCK_CONTROL_UNAUTHENTICATED");
});

it("lets nobody in without a certificate of its authority's", async () => {
  expect((await as(unknown, "get", "tenant", "acme")).err).toContain("PENSTOCK_CONTROL_UNAUTHENTICATED");
  for (const who of [null, stranger]) {
    const { code, err } = await as(who, "get", "tenant", "acme");
    expect([code, err]).toEqual([1, expect.stringContaining("PENSTOCK_CLI_UNREACHABLE")]);
  }
  const clear = await fetch(url.replace("https", "http")).catch((error: unknown) => error);
  expect(clear).toBeInstanceOf(Error);
});
