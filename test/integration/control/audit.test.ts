/** The audit log by REST and by the command line, of a control process that runs. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { audit } from "#main/cli/audit.ts";
import { COMMON_OPTIONS } from "#main/cli/verb.ts";
import { accept, FakeSupervisor } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
});
afterAll(() => gateway.dispose());

async function run(...rest: string[]): Promise<{ code: number; out: string; notes: string }> {
  const args = parseArgs({ args: rest, options: { ...COMMON_OPTIONS, ...audit.options }, allowPositionals: true });
  let printed = "";
  let notes = "";
  const out = {
    print: (text: string) => void (printed += text),
    note: (text: string) => void (notes += text),
    json: args.values["json"] === true,
    progress: () => undefined,
    interactive: false,
    width: 120,
  };
  const code = await audit.run(args, out, { env: {}, cwd: "/", dataDir: gateway.dataDir });
  return { code, out: printed, notes };
}

it("says who did what, by pages", async () => {
  const made = await gateway.call("POST", "/v1/tokens", { body: { name: "ci", scopes: ["operator"] } });
  const { token, id } = made.json as { token: string; id: string };
  const put = (name: string, port: number) =>
    gateway.call(
      "PUT",
      `/v1/listeners/${name}`,
      { headers: { "if-none-match": "*" }, body: { address: `127.0.0.1:${port}`, protocol: "http" } },
      token,
    );
  await put("web", 1);
  gateway.applyAnswer = ({ id: of }) => ({
    type: "applied",
    id: of,
    ok: false,
    results: [{ worker: 0, ok: false, error: "no" }],
  });
  await put("other", 2);
  gateway.applyAnswer = accept;
  expect((await put("bad", 1)).status).toBe(422);
  await gateway.put("/v1/kernel/maps/hits", { type: "hash", key: "ip", value: "counter", maxEntries: 9 });
  await gateway.call("PUT", "/v1/kernel/maps/hits/entries/::1", { body: { value: 7 } });
  await gateway.call("DELETE", "/v1/kernel/maps/hits/entries/::1");
  await gateway.call("DELETE", `/v1/tokens/${id}`);
  const who = `token ${id} (ci)`;
  const { items, head } = (await gateway.call("GET", "/v1/audit")).json as {
    items: { number: number; who: string; what: string; outcome: string }[];
    head: object;
  };
  expect(items.map((row) => [row.who, row.what, row.outcome])).toEqual([
    ["control", 'make token "first-start" with admin', "done"],
    ["socket", 'make token "ci" with operator', "done"],
    [who, "put listener web", "done"],
    [who, "put listener other", "refused"],
    ["socket", "put map hits", "done"],
    ["socket", "put entry of a kernel map", "done"],
    ["socket", "delete entry of a kernel map", "done"],
    ["socket", 'revoke token "ci"', "done"],
  ]);
  expect(head).toMatchObject({ number: 8 });
  const page = await gateway.call("GET", "/v1/audit?limit=3&cursor=3");
  expect(page.json).toMatchObject({ items: [{ number: 4 }, { number: 5 }, { number: 6 }], next: "6" });
  expect((await gateway.call("GET", "/v1/audit?cursor=x")).status).toBe(400);
  expect((await gateway.call("GET", "/v1/audit", {}, token)).status).toBe(401);
  expect((await run()).out).toContain("put listener other: worker 0: no");
});

it("is verified, also against an end that was noted, and tampering is told", async () => {
  const good = await run("verify");
  expect(good).toMatchObject({ code: 0, notes: "" });
  const head = /the end of the log is (\S+)$/.exec(good.out)?.[1] ?? "";
  await gateway.put("/v1/listeners/more", { address: "127.0.0.1:3", protocol: "http" });
  expect((await run("verify", "--head", head)).code).toBe(0);
  expect(await run("verify", "--head", `8:${"0".repeat(64)}`)).toMatchObject({
    code: 1,
    notes: expect.stringContaining("written anew"),
  });
  expect(await run("verify", "--head", `99:${"0".repeat(64)}`)).toMatchObject({
    code: 1,
    notes: expect.stringContaining("row 99 is missing"),
  });
  const db = new DatabaseSync(join(gateway.dataDir, "store.db"), { timeout: 5000 });
  db.exec("UPDATE audit SET who='socket' WHERE number=3");
  db.close();
  const bad = await run("verify", "--json");
  expect([bad.code, JSON.parse(bad.out)]).toMatchObject([1, { ok: false, rows: 2 }]);
  expect(bad.notes).toContain("row 3 is not what was written");
  await expect(run("verify", "--head", "x")).rejects.toThrow("--head");
  await expect(run("sing")).rejects.toThrow("sing");
});
