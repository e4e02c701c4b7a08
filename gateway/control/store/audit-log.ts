/**
 * The audit log's tables. A row is appended within the transaction of the change it describes: neither is there without
 * the other. The end of the chain is kept apart from the rows, or removing the last of them would go unseen.
 */
import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import { auditHash, GENESIS, type AuditEntry, type AuditHead, type AuditRow } from "#control/audit-chain.ts";

const COLUMNS = "number, at_ms, who, what, subject, revision, outcome, reason, hash";

export class AuditLog {
  readonly #db: DatabaseSync;
  readonly #now: () => number;

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** Call it within a transaction. */
  append(entry: AuditEntry): void {
    const head = this.head();
    const row = { ...entry, number: head.number + 1, atMs: this.#now() };
    const hash = auditHash(head.hash, row);
    const { number, atMs, who, what, subject, revision, outcome, reason } = row;
    this.#db
      .prepare(`INSERT INTO audit (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`)
      .run(number, atMs, who, what, subject, revision, outcome, reason, hash);
    this.#db
      .prepare(
        `INSERT INTO audit_head (one, number, hash) VALUES (1, ?, ?)
         ON CONFLICT (one) DO UPDATE SET number=excluded.number, hash=excluded.hash`,
      )
      .run(number, hash);
  }

  head(): AuditHead {
    const row = this.#db.prepare("SELECT number, hash FROM audit_head").get();
    return row === undefined
      ? { number: 0, hash: GENESIS }
      : { number: Number(row["number"]), hash: String(row["hash"]) };
  }

  /** The number of the row before the first about a revision after this one. Rows of revisions are not in their order. */
  before(revision: number): number {
    const first = this.#db.prepare("SELECT min(number) AS first FROM audit WHERE revision > ?").get(revision)?.[
      "first"
    ];
    return typeof first === "number" ? first - 1 : this.head().number;
  }

  /** Oldest first, those above `after`, at most `limit`. */
  rows(after: number, limit: number): AuditRow[] {
    const rows = this.#db
      .prepare(`SELECT ${COLUMNS} FROM audit WHERE number > ? ORDER BY number LIMIT ?`)
      .all(after, limit);
    return rows.map(rowOf);
  }
}

/** The table is STRICT: each column has the type it was declared with. */
function rowOf(row: Record<string, SQLOutputValue>): AuditRow {
  return {
    number: Number(row["number"]),
    atMs: Number(row["at_ms"]),
    who: String(row["who"]),
    what: String(row["what"]),
    subject: String(row["subject"]),
    revision: Number(row["revision"]),
    outcome: row["outcome"] === "refused" ? "refused" : "done",
    reason: String(row["reason"]),
    hash: String(row["hash"]),
  };
}
