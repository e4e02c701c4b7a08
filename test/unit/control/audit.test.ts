import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AuditVerifier, auditHash, GENESIS } from "#control/audit-chain.ts";
import type { Store } from "#control/store/store.ts";
import { SqliteStore } from "#control/store/sqlite-store.ts";

let folder: string;
let now = 1000;
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "penstock-audit-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = () => new SqliteStore(folder, () => now++);
const facts = { abi: "penstock", hooks: [], imports: [], memoryBytesMin: 0, builder: "1" };
const revision = (drainMs: number) => ({
  content: { declaration: { settings: { drainMs } }, ages: [] },
  author: "me",
  message: `put ${drainMs}`,
});
const token = { id: "1f2e", name: "ci", scopes: ["read"], createdMs: 1, expiresMs: 0 };

function fill(store: Store): void {
  store.applied(store.begin(revision(1)).number, "socket");
  store.refused(store.begin(revision(2)).number, "worker 0: no", "token 1 (ci)");
  store.addToken(token, new Uint8Array(32), "socket");
  store.removeToken("1f2e", "socket");
}

function tamper(sql: string): void {
  const db = new DatabaseSync(join(folder, "store.db"));
  db.exec(sql);
  db.close();
}

function fault(): string | undefined {
  const store = open();
  const verifier = new AuditVerifier();
  let found: string | undefined;
  for (const row of store.auditRows(0, 1000)) found ??= verifier.next(row);
  found ??= verifier.end(store.auditHead());
  store.close();
  return found;
}

it("each change has its row, and each row the hash of the one before", () => {
  const store = open();
  expect(store.auditHead()).toEqual({ number: 0, hash: GENESIS });
  fill(store);
  expect(store.removeToken("none", "socket")).toBe(false);
  const { digest } = store.addModule(Buffer.from("a"), Buffer.from("b"), facts, "socket");
  const rows = store.auditRows(0, 10);
  expect(
    rows.map(({ number, who, what, revision: made, outcome, reason }) => [number, who, what, made, outcome, reason]),
  ).toEqual([
    [1, "socket", "put 1", 1, "done", ""],
    [2, "token 1 (ci)", "put 2", 2, "refused", "worker 0: no"],
    [3, "socket", 'make token "ci" with read', 0, "done", ""],
    [4, "socket", 'revoke token "ci"', 0, "done", ""],
    [5, "socket", "keep module", 0, "done", ""],
  ]);
  expect(rows.map(({ subject }) => subject)).toEqual([
    store.revision(1)?.digest,
    store.revision(2)?.digest,
    "1f2e",
    "1f2e",
    digest,
  ]);
  expect(store.auditRows(3, 1).map(({ number }) => number)).toEqual([4]);
  store.close();
  expect(fault()).toBeUndefined();
});

describe("what was done to the log is found", () => {
  it.each([
    ["a changed row", "UPDATE audit SET who='nobody' WHERE number=2", "row 2 is not what was written"],
    ["a changed time", "UPDATE audit SET at_ms=at_ms+1 WHERE number=4", "row 4 is not what was written"],
    ["a removed row", "DELETE FROM audit WHERE number=2", "row 2 is missing"],
    ["a removed first row", "DELETE FROM audit WHERE number=1", "row 1 is missing"],
    ["a removed last row", "DELETE FROM audit WHERE number=4", "rows 4 to 4 are missing at the end"],
    ["all rows removed", "DELETE FROM audit", "rows 1 to 4 are missing at the end"],
    [
      "a removed row, and the others numbered anew",
      "DELETE FROM audit WHERE number=2; UPDATE audit SET number=number-1 WHERE number>2",
      "row 2 is not what was written",
    ],
    [
      "a row put in",
      `UPDATE audit SET number=number+100 WHERE number>2; UPDATE audit SET number=number-99 WHERE number>100;
       INSERT INTO audit SELECT 3, at_ms, who, what, subject, revision, outcome, reason, hash FROM audit WHERE number=2`,
      "row 3 is not what was written",
    ],
    [
      "a row put in at the end",
      "INSERT INTO audit SELECT 5, at_ms, who, what, subject, revision, outcome, reason, hash FROM audit WHERE number=4",
      "row 5 is not what was written",
    ],
    [
      "two rows changed places",
      "UPDATE audit SET number=9 WHERE number=2; UPDATE audit SET number=2 WHERE number=3; UPDATE audit SET number=3 WHERE number=9",
      "row 2 is not",
    ],
    ["a changed end", `UPDATE audit_head SET hash='${GENESIS}'`, "the end of the log is not what was written"],
  ])("%s", (_what, sql, expected) => {
    const store = open();
    fill(store);
    store.close();
    tamper(sql);
    expect(fault()).toContain(expected);
  });
});

it("a well-made row behind the end is found by the end", () => {
  const store = open();
  fill(store);
  const [last] = store.auditRows(3, 1);
  store.close();
  if (last === undefined) throw new Error("there is a row 4");
  const { hash, ...rest } = last;
  const forged = auditHash(hash, { ...rest, number: 5 });
  tamper(
    `INSERT INTO audit SELECT 5, at_ms, who, what, subject, revision, outcome, reason, '${forged}' FROM audit WHERE number=4`,
  );
  expect(fault()).toContain("row 5 was put in at the end");
});

it("a change whose row can't be written is not made", () => {
  const store = open();
  fill(store);
  const { number } = store.begin(revision(3));
  tamper(
    "INSERT INTO audit SELECT 5, at_ms, who, what, subject, revision, outcome, reason, hash FROM audit WHERE number=4",
  );
  expect(() => store.applied(number, "socket")).toThrow("UNIQUE");
  expect(() => store.addToken(token, new Uint8Array(32), "socket")).toThrow("UNIQUE");
  expect([store.revision(number)?.state, store.current()?.number, store.tokens()]).toEqual(["pending", 1, []]);
  store.close();
});

it("a store that kept no log begins one, which says what it doesn't cover", () => {
  const store = open();
  fill(store);
  store.begin(revision(3));
  store.close();
  tamper(
    "DROP TABLE audit; DROP TABLE audit_head; DROP TABLE kept_answers; DROP TABLE private_keys; DROP TABLE source_maps; DROP TABLE content_secrets; DROP TABLE secrets; ALTER TABLE contents DROP COLUMN base; PRAGMA user_version=1",
  );
  const migrated = open();
  expect(migrated.auditRows(0, 10)).toMatchObject([
    { number: 1, who: "control", what: "begin this log: revisions 1 to 2 were made before it" },
    {
      number: 2,
      who: "control",
      what: "put 3",
      revision: 3,
      outcome: "refused",
      reason: expect.stringContaining("before the gateway answered"),
    },
  ]);
  migrated.close();
  open().close();
  expect(fault()).toBeUndefined();
});
