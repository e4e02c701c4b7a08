/** Backup and restore, as a person at a shell does it. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { penstock, type Ran } from "#test/support/penstock.ts";
import { FakeSupervisor, wasmModule } from "./fake-supervisor.ts";

let gateway: FakeSupervisor;
const folder = mkdtempSync(join(tmpdir(), "penstock-backup-"));
const file = join(folder, "one.backup");
let target: string;

beforeAll(async () => {
  gateway = new FakeSupervisor();
  await gateway.start();
  await gateway.put("/v1/tenants/acme", { hosts: ["acme.example"] });
  await gateway.upload("/v1/tenants/acme/plugins/guard/versions/1", wasmModule(1));
  await gateway.call("POST", "/v1/tokens", { body: { name: "ci", scopes: ["read"] } });
  expect(await verb("backup", file)).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await gateway.dispose();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  target = mkdtempSync(join(folder, "data-"));
});

function verb(...args: string[]): Promise<Ran> {
  return penstock({ cwd: folder, env: { PENSTOCK_SERVER: gateway.socketPath } }, ...args);
}

const restore = (from: string): Promise<Ran> => verb("restore", from, "--data", target);

/** A copy of the backup that is not as it was. */
function damaged(sql: string): string {
  const copy = join(target, "damaged.backup");
  copyFileSync(file, copy);
  const db = new DatabaseSync(copy);
  db.exec(sql);
  db.close();
  return copy;
}

describe("a backup", () => {
  it("is one file of its owner's, and leaves nothing in the data folder", () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(gateway.dataDir).filter((name) => name.startsWith(".backup"))).toEqual([]);
  });

  it("becomes a store again, and a gateway serves from it", async () => {
    rmSync(target, { recursive: true });
    const { code, out } = await restore(file);
    expect([code, out]).toEqual([0, expect.stringMatching(/revision 2, 1 modules, \d+ rows of the audit log/)]);
    const again = new FakeSupervisor(target);
    try {
      expect(await again.start()).toBe(2);
      const plugins = await again.call("GET", "/v1/tenants/acme/plugins/guard/versions/1");
      expect(plugins.status).toBe(200);
      const { items } = (await again.call("GET", "/v1/tokens")).json as { items: { name: string }[] };
      expect(items.map(({ name }) => name)).toContain("ci");
      const { items: rows } = (await again.call("GET", "/v1/audit?limit=1000")).json as { items: { what: string }[] };
      expect(rows.length).toBeGreaterThan(3);
    } finally {
      await again.dispose();
    }
  });

  it("goes on being made while changes are", async () => {
    const changes = Array.from({ length: 20 }, (_, i) =>
      gateway.put(`/v1/tenants/t${i}`, { hosts: [`t${i}.example`] }),
    );
    const backups = await Promise.all([1, 2, 3].map((i) => verb("backup", join(folder, `busy${i}.backup`))));
    expect((await Promise.all(changes)).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 201));
    expect(backups.map(({ code, err }) => [code, err])).toEqual([1, 2, 3].map(() => [0, ""]));
    expect((await restore(join(folder, "busy3.backup"))).code).toBe(0);
  });

  it("is for administrators", async () => {
    const { json } = await gateway.call("POST", "/v1/tokens", { body: { name: "op", scopes: ["operator"] } });
    const { token } = json as { token: string };
    expect((await gateway.call("GET", "/v1/backup", {}, token)).status).toBe(403);
  });
});

describe("restoring is refused, and leaves no store,", () => {
  it.each([
    ["a module that was changed", "UPDATE backup_blobs SET bytes = x'00'", /does not contain what its name says/],
    ["a module that is missing", "DELETE FROM backup_blobs", /module [0-9a-f]{64} is missing/],
    ["an audit log that was changed", "UPDATE audit SET what = 'nothing' WHERE number = 2", /tampered/],
    ["an audit log that was cut", "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)", /tampered/],
    ["a newer layout", "PRAGMA user_version=99", /layout 99.*use a newer one/],
    ["another database", "DROP TABLE backup_blobs", /no backup of a gateway/],
  ])("of %s", async (_, sql, error) => {
    const { code, err } = await restore(damaged(sql));
    expect([code, err]).toEqual([1, expect.stringMatching(error)]);
    expect(existsSync(join(target, "store.db"))).toBe(false);
  });

  it("of what is no database, or not there", async () => {
    writeFileSync(join(target, "text"), "no database, whatever its name says");
    expect((await restore(join(target, "text"))).err).toMatch(/not a database/);
    expect((await restore(join(target, "nothing"))).err).toMatch(/there is no/);
  });

  it("into a folder that has a store", async () => {
    expect((await restore(file)).code).toBe(0);
    const { code, err } = await restore(file);
    expect([code, err]).toEqual([1, expect.stringMatching(/has a store already/)]);
  });
});
