/** Answers to requests with an `Idempotency-Key`, for a day. What they mean is `admin/idempotency.ts`'s business. */
import type { DatabaseSync } from "node:sqlite";

/** A client that has not tried again by then never will. */
const KEPT_MS = 86_400_000;

export interface KeptAnswer {
  readonly fingerprint: Uint8Array;
  /** Null: begun, and not known to have ended. */
  readonly sealed: Uint8Array | null;
}

export class KeptAnswers {
  readonly #db: DatabaseSync;
  readonly #now: () => number;

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  find(id: Uint8Array): KeptAnswer | undefined {
    const row = this.#db
      .prepare("SELECT fingerprint, sealed FROM kept_answers WHERE id = ? AND created_ms > ?")
      .get(id, this.#now() - KEPT_MS);
    if (row === undefined || !(row["fingerprint"] instanceof Uint8Array)) return undefined;
    const sealed = row["sealed"];
    return { fingerprint: row["fingerprint"], sealed: sealed instanceof Uint8Array ? sealed : null };
  }

  /** Durable when it returns: before anything is done. */
  begin(id: Uint8Array, fingerprint: Uint8Array): void {
    const now = this.#now();
    this.#db.prepare("DELETE FROM kept_answers WHERE created_ms <= ?").run(now - KEPT_MS);
    this.#db
      .prepare("INSERT INTO kept_answers (id, fingerprint, created_ms, sealed) VALUES (?, ?, ?, NULL)")
      .run(id, fingerprint, now);
  }

  keep(id: Uint8Array, sealed: Uint8Array): void {
    this.#db.prepare("UPDATE kept_answers SET sealed = ? WHERE id = ?").run(sealed, id);
  }

  forget(id: Uint8Array): void {
    this.#db.prepare("DELETE FROM kept_answers WHERE id = ?").run(id);
  }
}
