/**
 * The store on node:sqlite. WAL with `synchronous=FULL`: a commit is on the disk when it returns (0.2 ms here). Blobs
 * are files (`blobs.ts`): the file comes first, then its row, so that a row's file is always there.
 */
import { join } from "node:path";
import { DatabaseSync, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { canonicalJson, digestOf } from "#control/canonical.ts";
import type { AuditEntry, AuditHead, AuditRow } from "#control/audit-chain.ts";
import type { ModuleFacts } from "#control/protocol.ts";
import { AuditLog } from "./audit-log.ts";
import { sweepBackups, writeBackup } from "./backup.ts";
import { Blobs } from "./blobs.ts";
import { Contents } from "./contents.ts";
import { KeptAnswers } from "./kept-answers.ts";
import { migrate } from "./migrations.ts";
import { Secrets } from "./secrets.ts";
import type {
  NewRevision,
  Revision,
  RevisionContent,
  RevisionState,
  Store,
  StoreBounds,
  StoredModule,
  StoredToken,
} from "./store.ts";

const DAY_MS = 86_400_000;
/** Revisions that can be looked at and gone back to; older ones leave their row in the audit log. */
const KEPT: StoreBounds = { revisionsMax: 1000, contentBytesMax: 256 * 2 ** 20 };
/** Stands in the audit log for what nobody asked for. */
const ITSELF = "control";

type Row = Record<string, SQLOutputValue>;

export class SqliteStore implements Store {
  readonly #dataDir: string;
  readonly #db: DatabaseSync;
  readonly #blobs: Blobs;
  readonly #contents: Contents;
  readonly #audit: AuditLog;
  readonly keptAnswers: KeptAnswers;
  readonly secrets: Secrets;
  readonly #now: () => number;
  readonly #changed: () => void;
  readonly #kept: StoreBounds;
  readonly #statements = new Map<string, StatementSync>();

  /** Opens or makes the store in a folder that this process owns, and clears up what an earlier one left half done. `changed` is called after each commit. */
  constructor(
    dataDir: string,
    now: () => number = Date.now,
    changed: () => void = () => undefined,
    kept: StoreBounds = KEPT,
  ) {
    this.#dataDir = dataDir;
    this.#kept = kept;
    this.#now = now;
    this.#changed = changed;
    this.#blobs = new Blobs(dataDir);
    this.#db = new DatabaseSync(join(dataDir, "store.db"), { timeout: 5000 });
    this.#db.exec(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; " +
        // A confined process has nowhere else to sort.
        "PRAGMA temp_store=MEMORY;",
    );
    migrate(this.#db);
    this.#contents = new Contents(this.#db);
    this.#audit = new AuditLog(this.#db, now);
    this.keptAnswers = new KeptAnswers(this.#db, now);
    this.secrets = new Secrets(this.#db, now);
    this.#recover();
  }

  #recover(): void {
    sweepBackups(this.#dataDir);
    this.#transaction(() => {
      this.#beginAudit();
      // Nobody waits for its answer any more, and the workers are given the current one again.
      const reason = "control ended before the gateway answered";
      for (const row of this.#sql("SELECT number FROM revisions WHERE state='pending'").all())
        this.#settle(numberOf(row, "number"), "refused", reason, ITSELF);
      this.#forgetOld();
      // Uploaded, never declared, and not of the last day: nobody is about to declare it.
      this.#sql("DELETE FROM modules WHERE created_ms < ? AND digest NOT IN (SELECT module FROM content_modules)").run(
        this.#now() - DAY_MS,
      );
      this.secrets.sweep();
    });
    const rows = this.#sql("SELECT digest, metered_digest FROM modules").all();
    this.#blobs.sweep(new Set(rows.flatMap((row) => [textOf(row, "digest"), textOf(row, "metered_digest")])));
  }

  /** A store of a version that kept no log: what came before is not covered, and the log says so. */
  #beginAudit(): void {
    const { number } = this.#audit.head();
    const last = this.#sql("SELECT max(number) AS last FROM revisions WHERE state != 'pending'").get()?.["last"];
    if (number > 0 || typeof last !== "number") return;
    const what = `begin this log: revisions 1 to ${last} were made before it`;
    this.#audit.append({ who: ITSELF, what, subject: "", revision: 0, outcome: "done", reason: "" });
  }

  #settle(number: number, state: "applied" | "refused", reason: string, who: string): void {
    const row = this.#sql("UPDATE revisions SET state=?, reason=? WHERE number=? RETURNING digest, message").get(
      state,
      reason,
      number,
    );
    if (row === undefined) throw new Error(`store: there is no revision ${number}`);
    const outcome = state === "applied" ? "done" : "refused";
    const subject = textOf(row, "digest");
    this.#audit.append({ who, what: textOf(row, "message"), subject, revision: number, outcome, reason });
  }

  current(): (Revision & { readonly content: RevisionContent }) | undefined {
    return this.#withContent(this.#sql(`${SELECT_REVISION} WHERE number = (SELECT number FROM current)`).get());
  }

  revision(number: number): (Revision & { readonly content: RevisionContent }) | undefined {
    return this.#withContent(this.#sql(`${SELECT_REVISION} WHERE number = ?`).get(number));
  }

  #withContent(row: Row | undefined): (Revision & { readonly content: RevisionContent }) | undefined {
    if (row === undefined) return undefined;
    const revision = revisionOf(row);
    return { ...revision, content: this.#contents.get(revision.digest) };
  }

  revisions(before: number | undefined, limit: number): Revision[] {
    const rows = this.#sql(`${SELECT_REVISION} WHERE number < ? ORDER BY number DESC LIMIT ?`);
    return rows.all(before ?? Number.MAX_SAFE_INTEGER, limit).map(revisionOf);
  }

  begin({ content, author, message }: NewRevision): Revision {
    const digest = digestOf(content);
    return this.#transaction(() => {
      this.#contents.put(digest, content);
      for (const plugin of content.declaration.plugins ?? []) {
        if (plugin.digest === undefined) continue;
        this.#sql("INSERT INTO content_modules (content, module) VALUES (?, ?) ON CONFLICT DO NOTHING").run(
          digest,
          plugin.digest,
        );
      }
      this.secrets.named(digest, content.declaration);
      const row = this.#sql(
        `INSERT INTO revisions (digest, state, author, message, created_ms, reason) VALUES (?, 'pending', ?, ?, ?, '')
         RETURNING number, digest, state, author, message, created_ms, reason`,
      ).get(digest, author, message, this.#now());
      if (row === undefined) throw new Error("the inserted revision was not returned");
      this.#forgetOld();
      return revisionOf(row);
    });
  }

  /** Within a transaction. The newest revision and the one in force stay, whatever they weigh. */
  #forgetOld(): void {
    const { revisionsMax, contentBytesMax } = this.#kept;
    const newest = numberOf(
      this.#sql("SELECT coalesce(max(number), 0) AS newest FROM revisions").get() ?? {},
      "newest",
    );
    const heavy = this.#contents.bytes <= contentBytesMax ? 0 : this.#heaviest(contentBytesMax);
    const last = Math.max(newest - revisionsMax, Math.min(heavy, newest - 1));
    const { changes } = this.#sql(
      "DELETE FROM revisions WHERE number <= ? AND number NOT IN (SELECT number FROM current)",
    ).run(last);
    if (changes > 0) this.#contents.sweep();
  }

  /** The newest revision that weighs, with all that are newer, more than so many bytes; 0: none does. */
  #heaviest(bytesMax: number): number {
    const row = this.#sql(
      `SELECT coalesce(max(number), 0) AS number FROM (
         SELECT number, sum(octet_length(body)) OVER (ORDER BY number DESC) AS bytes
         FROM revisions JOIN contents USING (digest)
       ) WHERE bytes > ?`,
    ).get(bytesMax);
    return numberOf(row ?? {}, "number");
  }

  applied(number: number, who: string): void {
    this.#transaction(() => {
      this.#settle(number, "applied", "", who);
      this.#sql(
        "INSERT INTO current (one, number) VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET number=excluded.number",
      ).run(number);
    });
  }

  refused(number: number, reason: string, who: string): void {
    this.#transaction(() => this.#settle(number, "refused", reason, who));
  }

  addModule(uploaded: Uint8Array, metered: Uint8Array, facts: ModuleFacts, who: string): StoredModule {
    const digest = this.#blobs.put(uploaded);
    const meteredDigest = this.#blobs.put(metered);
    const createdMs = this.#now();
    // Built again by a newer builder, the metered module and the facts are new, and the upload is the same.
    this.#transaction(() => {
      this.#sql(
        `INSERT INTO modules (digest, metered_digest, bytes, facts, created_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (digest) DO UPDATE SET metered_digest=excluded.metered_digest, facts=excluded.facts, created_ms=excluded.created_ms`,
      ).run(digest, meteredDigest, uploaded.length, canonicalJson(facts), createdMs);
      this.#done(who, "keep module", digest);
    });
    return { digest, meteredDigest, bytes: uploaded.length, facts, createdMs };
  }

  addPrivateKey(owner: string, digest: string, sealed: string, who: string): void {
    this.#transaction(() => {
      this.#sql(
        `INSERT INTO private_keys (owner, digest, sealed, created_ms) VALUES (?, ?, ?, ?)
         ON CONFLICT (owner, digest) DO UPDATE SET sealed=excluded.sealed, created_ms=excluded.created_ms`,
      ).run(owner, digest, sealed, this.#now());
      this.#done(who, owner === "" ? "keep private key" : `keep private key of tenant ${owner}`, digest);
    });
  }

  privateKey(owner: string, digest: string): string | undefined {
    const row = this.#sql("SELECT sealed FROM private_keys WHERE owner = ? AND digest = ?").get(owner, digest);
    return row === undefined ? undefined : textOf(row, "sealed");
  }

  module(digest: string): StoredModule | undefined {
    const row = this.#sql("SELECT digest, metered_digest, bytes, facts, created_ms FROM modules WHERE digest = ?").get(
      digest,
    );
    if (row === undefined) return undefined;
    return {
      digest: textOf(row, "digest"),
      meteredDigest: textOf(row, "metered_digest"),
      bytes: numberOf(row, "bytes"),
      facts: JSON.parse(textOf(row, "facts")) as ModuleFacts,
      createdMs: numberOf(row, "created_ms"),
    };
  }

  moduleBytes(digest: string): Uint8Array {
    return this.#blobs.get(digest);
  }

  addSourceMap(digest: string, text: string, who: string): void {
    this.#transaction(() => {
      this.#sql(
        "INSERT INTO source_maps (digest, body) VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET body=excluded.body",
      ).run(digest, text);
      this.#done(who, "keep source map", digest);
    });
  }

  sourceMap(digest: string): string | undefined {
    const row = this.#sql("SELECT body FROM source_maps WHERE digest = ?").get(digest);
    return row === undefined ? undefined : textOf(row, "body");
  }

  hasSourceMap(digest: string): boolean {
    return this.#sql("SELECT 1 FROM source_maps WHERE digest = ?").get(digest) !== undefined;
  }

  addToken(token: StoredToken, hash: Uint8Array, who: string): void {
    this.#transaction(() => {
      this.#sql("INSERT INTO tokens (id, name, hash, scopes, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?)").run(
        token.id,
        token.name,
        hash,
        JSON.stringify(token.scopes),
        token.createdMs,
        token.expiresMs,
      );
      this.#sql("INSERT INTO facts (name) VALUES ('had_tokens') ON CONFLICT DO NOTHING").run();
      this.#done(who, `make token "${token.name}" with ${token.scopes.join(", ")}`, token.id);
    });
  }

  tokenByHash(hash: Uint8Array): (StoredToken & { readonly hash: Uint8Array }) | undefined {
    const row = this.#sql("SELECT id, name, hash, scopes, created_ms, expires_ms FROM tokens WHERE hash = ?").get(hash);
    if (row === undefined || !(row["hash"] instanceof Uint8Array)) return undefined;
    return { ...tokenOf(row), hash: row["hash"] };
  }

  tokens(): StoredToken[] {
    return this.#sql("SELECT id, name, scopes, created_ms, expires_ms FROM tokens ORDER BY created_ms, id")
      .all()
      .map(tokenOf);
  }

  everHadTokens(): boolean {
    return numberOf(this.#sql("SELECT count(*) AS n FROM facts WHERE name = 'had_tokens'").get() ?? {}, "n") > 0;
  }

  removeToken(id: string, who: string): boolean {
    return this.#transaction(() => {
      const row = this.#sql("DELETE FROM tokens WHERE id = ? RETURNING name").get(id);
      if (row === undefined) return false;
      this.#done(who, `revoke token "${textOf(row, "name")}"`, id);
      return true;
    });
  }

  #done(who: string, what: string, subject: string): void {
    this.#audit.append({ who, what, subject, revision: 0, outcome: "done", reason: "" });
  }

  audit(entry: AuditEntry): void {
    this.#transaction(() => this.#audit.append(entry));
  }

  auditRows(after: number, limit: number): AuditRow[] {
    return this.#audit.rows(after, limit);
  }

  auditBefore(revision: number): number {
    return this.#audit.before(revision);
  }

  auditHead(): AuditHead {
    return this.#audit.head();
  }

  async backup(path: string, who: string): Promise<void> {
    await writeBackup(this.#db, this.#blobs, path, this.#now());
    this.#transaction(() => this.#done(who, "make backup", ""));
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #sql(text: string): StatementSync {
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(text);
    this.#statements.set(text, statement);
    return statement;
  }

  #transaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      this.#changed();
      return result;
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw error;
    }
  }
}

const SELECT_REVISION = "SELECT number, digest, state, author, message, created_ms, reason FROM revisions";

function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new Error(`store: column ${column} is no text`);
  return value;
}

function numberOf(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new Error(`store: column ${column} is no number`);
  return value;
}

function revisionOf(row: Row): Revision {
  return {
    number: numberOf(row, "number"),
    digest: textOf(row, "digest"),
    state: textOf(row, "state") as RevisionState,
    author: textOf(row, "author"),
    message: textOf(row, "message"),
    createdMs: numberOf(row, "created_ms"),
    reason: textOf(row, "reason"),
  };
}

function tokenOf(row: Row): StoredToken {
  return {
    id: textOf(row, "id"),
    name: textOf(row, "name"),
    scopes: JSON.parse(textOf(row, "scopes")) as string[],
    createdMs: numberOf(row, "created_ms"),
    expiresMs: numberOf(row, "expires_ms"),
  };
}
