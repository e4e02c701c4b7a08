/**
 * A backup is one file: a copy of the database as of one moment, with every module that a row of it refers to in a table of
 * its own. So it is whole or no backup, any SQLite can look into it, and restoring is checking it and taking it apart.
 *
 * What is not in it: answers kept for idempotency, and the key that secrets are sealed under (see README.md).
 */
import {
  mkdirSync,
  readdirSync,
  openSync,
  closeSync,
  fsyncSync,
  existsSync,
  copyFileSync,
  renameSync,
  rmSync,
  chmodSync,
} from "node:fs";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { controlError } from "#core/errors/control.ts";
import { AuditVerifier, type AuditRow } from "#control/audit-chain.ts";
import { sha256Hex } from "#control/canonical.ts";
import { AuditLog } from "./audit-log.ts";
import { Blobs } from "./blobs.ts";
import { flushFolder, PARTIAL_PREFIX } from "./files.ts";
import { LAYOUT } from "./migrations.ts";
import { BACKUP_PREFIX } from "./store.ts";

export interface BackupFacts {
  /** The revision in force; 0: none. */
  readonly revision: number;
  readonly modules: number;
  readonly auditRows: number;
  readonly madeMs: number;
}

/** Writes a backup to a file that does not exist yet. The database stays in use; blobs never change and are read beside it. */
export async function writeBackup(db: DatabaseSync, blobs: Blobs, path: string, nowMs: number): Promise<void> {
  // Made first, so that it never has another mode.
  closeSync(openSync(path, "wx", 0o600));
  await backup(db, path);
  const copy = new DatabaseSync(path);
  try {
    copy.exec(`
      PRAGMA journal_mode=DELETE;
      BEGIN;
      DELETE FROM kept_answers;
      CREATE TABLE backup (made_ms INTEGER NOT NULL) STRICT;
      CREATE TABLE backup_blobs (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
    `);
    copy.prepare("INSERT INTO backup (made_ms) VALUES (?)").run(nowMs);
    const insert = copy.prepare("INSERT INTO backup_blobs (digest, bytes) VALUES (?, ?)");
    for (const digest of blobDigests(copy)) insert.run(digest, blobs.get(digest));
    copy.exec("COMMIT");
  } finally {
    copy.close();
  }
}

/** Removes what was on its way out when an earlier process ended. */
export function sweepBackups(dataDir: string): void {
  for (const name of readdirSync(dataDir)) {
    if (name.startsWith(BACKUP_PREFIX)) rmSync(join(dataDir, name));
  }
}

/** Looks at every byte of it. Throws PENSTOCK_CONTROL_BACKUP with the first thing that is wrong. */
export function checkBackup(path: string): BackupFacts {
  if (!existsSync(path)) throw unusable(`there is no ${path}`);
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return checked(db);
  } catch (error) {
    if (error instanceof Error && "errcode" in error) throw unusable(`${path}: ${error.message}`);
    throw error;
  } finally {
    db.close();
  }
}

/**
 * Makes a store of a backup in a folder that has none. Throws PENSTOCK_CONTROL_BACKUP; then there is still none. What it
 * leaves half done when it is cut off is no store either, and the next try goes over it.
 */
export function restoreBackup(path: string, dataDir: string): BackupFacts {
  const facts = checkBackup(path);
  const target = join(dataDir, "store.db");
  if (existsSync(target))
    throw controlError("PENSTOCK_CONTROL_BACKUP", {
      detail: `${dataDir} has a store already; restore into an empty folder, or move that one away`,
    });
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const partial = join(dataDir, `${PARTIAL_PREFIX}store.db`);
  copyFileSync(path, partial);
  chmodSync(partial, 0o600);
  const db = new DatabaseSync(partial);
  try {
    const blobs = new Blobs(dataDir);
    for (const { bytes } of db.prepare("SELECT bytes FROM backup_blobs").iterate())
      if (bytes instanceof Uint8Array) blobs.put(bytes);
    db.exec("DROP TABLE backup_blobs; DROP TABLE backup; VACUUM;");
  } finally {
    db.close();
  }
  const fd = openSync(partial, "r");
  fsyncSync(fd);
  closeSync(fd);
  // Of a database that was there once: they would be taken for this one's.
  for (const left of ["store.db-wal", "store.db-shm"]) rmSync(join(dataDir, left), { force: true });
  renameSync(partial, target);
  flushFolder(dataDir);
  return facts;
}

function checked(db: DatabaseSync): BackupFacts {
  const isBackup = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'backup_blobs'").get() !== undefined;
  if (!isBackup) throw unusable("the file is a database, and no backup of a gateway");
  const layout = Number(db.prepare("PRAGMA user_version").get()?.["user_version"]);
  if (layout > LAYOUT)
    throw unusable(`it has layout ${layout}, and this version of penstock knows ${LAYOUT}: use a newer one`);
  const integrity = String(db.prepare("PRAGMA integrity_check").get()?.["integrity_check"]);
  if (integrity !== "ok") throw unusable(integrity);
  const modules = checkBlobs(db);
  const auditRows = layout < 2 ? 0 : checkAudit(db);
  const revision = Number(db.prepare("SELECT number FROM current").get()?.["number"] ?? 0);
  return { revision, modules, auditRows, madeMs: Number(db.prepare("SELECT made_ms FROM backup").get()?.["made_ms"]) };
}

/** Answers how many modules there are. */
function checkBlobs(db: DatabaseSync): number {
  const there = new Set<string>();
  for (const { digest, bytes } of db.prepare("SELECT digest, bytes FROM backup_blobs").iterate()) {
    if (!(bytes instanceof Uint8Array) || sha256Hex(bytes) !== digest)
      throw unusable(`module ${String(digest)} does not contain what its name says`);
    there.add(digest);
  }
  for (const digest of blobDigests(db)) if (!there.has(digest)) throw unusable(`module ${digest} is missing`);
  return Number(db.prepare("SELECT count(*) AS n FROM modules").get()?.["n"]);
}

/** Answers how many rows there are. */
function checkAudit(db: DatabaseSync): number {
  const log = new AuditLog(db, () => 0);
  const verifier = new AuditVerifier();
  let rows: AuditRow[];
  let fault: string | undefined;
  do {
    rows = log.rows(verifier.head.number, 1000);
    for (const row of rows) fault ??= verifier.next(row);
  } while (rows.length > 0 && fault === undefined);
  fault ??= verifier.end(log.head());
  if (fault !== undefined) throw unusable(`its audit log was tampered with: ${fault}`);
  return verifier.head.number;
}

function blobDigests(db: DatabaseSync): Set<string> {
  const rows = db.prepare("SELECT digest, metered_digest FROM modules").all();
  return new Set(rows.flatMap((row) => [String(row["digest"]), String(row["metered_digest"])]));
}

function unusable(detail: string): Error {
  return controlError("PENSTOCK_CONTROL_BACKUP", { detail });
}
