import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { digestOf } from "#control/canonical.ts";
import type { Declaration } from "#control/config/declaration.ts";
import { Contents } from "#control/store/contents.ts";
import { migrate } from "#control/store/migrations.ts";
import { SqliteStore } from "#control/store/sqlite-store.ts";
import type { RevisionContent } from "#control/store/store.ts";

const by = { author: "me", message: "" };
const route = (name: string, path: string) => ({ name, tenant: "t", match: { path: { prefix: path } }, upstream: "u" });
const ROUTES = Array.from({ length: 500 }, (_, i) => route(`r${i}`, `/p${i}`));
const content = (routes: Declaration["routes"], drainMs = 1): RevisionContent => ({
  declaration: { routes, settings: { drainMs } },
  ages: (routes ?? []).map(({ name }) => `t/${name}`),
});
const changed = (i: number) => content(ROUTES.with(7, route("r7", `/changed${i}`)));

let db: DatabaseSync;
beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db);
});
afterEach(() => db.close());

const rows = () => db.prepare("SELECT base, octet_length(body) AS bytes FROM contents").all();
const put = (contents: Contents, one: RevisionContent): string => {
  contents.put(digestOf(one), one);
  return digestOf(one);
};
/** So that it is not swept. */
const keep = (digest: string) =>
  db
    .prepare(
      "INSERT INTO revisions (digest, state, author, message, created_ms, reason) VALUES (?, 'applied', '', '', 0, '')",
    )
    .run(digest);

it("one changed route is a row of what changed", () => {
  const contents = new Contents(db);
  const whole = put(contents, content(ROUTES));
  const bytes = contents.bytes;
  const next = put(contents, changed(1));
  expect(contents.bytes - bytes).toBeLessThan(400);
  expect(rows()).toHaveLength(2);
  expect([new Contents(db).get(whole), new Contents(db).get(next)]).toEqual([content(ROUTES), changed(1)]);
});

it("what is read is what was written, whatever changed and whenever the process began anew", () => {
  const some = fc.uniqueArray(fc.nat(40), { maxLength: 30 }).map((picked) =>
    content(
      picked.map((i) => route(`r${i % 9}`, `/p${i}`)),
      picked.length,
    ),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(some, fc.boolean()), { minLength: 2, maxLength: 12 }), (steps) => {
      db.exec("DELETE FROM contents");
      let contents = new Contents(db);
      for (const [one, restart] of steps) {
        put(contents, one);
        if (restart) contents = new Contents(db);
      }
      for (const [one] of steps) expect(new Contents(db).get(digestOf(one))).toEqual(one);
    }),
  );
});

it("a chain ends in a whole before it is long", () => {
  const contents = new Contents(db);
  put(contents, content(ROUTES));
  for (let i = 0; i < 450; i++) put(contents, changed(i));
  expect(rows().filter(({ base }) => base === null)).toHaveLength(3);
  expect(new Contents(db).get(digestOf(changed(449)))).toEqual(changed(449));
});

it("a chain weighs less than twice its whole", () => {
  const contents = new Contents(db);
  const half = (i: number) => content(ROUTES.map((one, at) => (at % 2 === 0 ? one : route(one.name, `/${i}`))));
  put(contents, content(ROUTES));
  for (let i = 0; i < 4; i++) put(contents, half(i));
  expect(rows().filter(({ base }) => base === null).length).toBeGreaterThan(1);
});

it("what a row is based on stays, and goes with the last that leads to it", () => {
  const contents = new Contents(db);
  put(contents, content(ROUTES));
  put(contents, changed(1));
  keep(put(contents, changed(2)));
  put(contents, changed(3));
  contents.sweep();
  expect(rows()).toHaveLength(3);
  expect(contents.get(digestOf(changed(2)))).toEqual(changed(2));
  db.exec("DELETE FROM revisions");
  contents.sweep();
  expect([rows(), contents.bytes]).toEqual([[], 0]);
});

it("nothing is based on a row that was not committed, or has gone", () => {
  const contents = new Contents(db);
  db.exec("BEGIN");
  put(contents, content(ROUTES));
  db.exec("ROLLBACK");
  put(contents, changed(1));
  contents.sweep();
  put(contents, changed(2));
  expect(rows()).toEqual([{ base: null, bytes: expect.any(Number) }]);
  expect(new Contents(db).get(digestOf(changed(2)))).toEqual(changed(2));
});

it("a chain that was tampered with is refused", () => {
  const contents = new Contents(db);
  const whole = put(contents, content(ROUTES));
  const next = put(contents, changed(1));
  db.prepare("UPDATE contents SET body = replace(body, '/p9', '/x9') WHERE digest = ?").run(whole);
  expect(() => new Contents(db).get(next)).toThrow("is damaged");
  db.prepare("DELETE FROM contents WHERE digest = ?").run(whole);
  expect(() => new Contents(db).get(next)).toThrow("has lost its base");
  expect(() => new Contents(db).get(whole)).toThrow("is not there");
});

it("a store of the layout before is taken over", () => {
  const folder = mkdtempSync(join(tmpdir(), "penstock-contents-"));
  try {
    const old = new SqliteStore(folder);
    old.applied(old.begin({ content: content(ROUTES), ...by }).number, "me");
    old.close();
    const file = new DatabaseSync(join(folder, "store.db"));
    file.exec(
      "DROP TABLE content_secrets; DROP TABLE secrets; ALTER TABLE contents DROP COLUMN base; PRAGMA user_version=5",
    );
    file.close();
    const store = new SqliteStore(folder);
    expect(store.current()?.content).toEqual(content(ROUTES));
    store.applied(store.begin({ content: changed(1), ...by }).number, "me");
    expect([store.revision(1)?.content, store.current()?.content]).toEqual([content(ROUTES), changed(1)]);
    store.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
