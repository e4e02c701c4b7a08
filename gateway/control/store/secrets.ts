/** Sealed values of tenants' secrets. A revision names each by its fingerprint; a value that none names any more goes. */
import type { DatabaseSync } from "node:sqlite";
import type { Declaration } from "#control/config/declaration.ts";

/** A value whose revision is still being made is not swept. */
const UNNAMED_MS = 86_400_000;

export interface KeptSecret {
  readonly tenant: string;
  readonly name: string;
  readonly fingerprint: string;
  readonly sealed: string;
}

export class Secrets {
  readonly #db: DatabaseSync;
  readonly #now: () => number;

  constructor(db: DatabaseSync, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** The same value again keeps its first seal: another would be another snapshot. */
  keep({ tenant, name, fingerprint, sealed }: KeptSecret): void {
    this.#db
      .prepare(
        `INSERT INTO secrets (tenant, name, fingerprint, sealed, created_ms) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET created_ms=excluded.created_ms`,
      )
      .run(tenant, name, fingerprint, sealed, this.#now());
  }

  /** Undefined: no such value was given. */
  sealed({ tenant, name, fingerprint }: Omit<KeptSecret, "sealed">): string | undefined {
    const row = this.#db
      .prepare("SELECT sealed FROM secrets WHERE tenant = ? AND name = ? AND fingerprint = ?")
      .get(tenant, name, fingerprint);
    return row === undefined ? undefined : String(row["sealed"]);
  }

  /** Within a transaction: the content of a revision that is kept. */
  named(content: string, { secrets = [] }: Declaration): void {
    const insert = this.#db.prepare(
      "INSERT INTO content_secrets (content, fingerprint) VALUES (?, ?) ON CONFLICT DO NOTHING",
    );
    for (const { fingerprint } of secrets) if (fingerprint !== undefined) insert.run(content, fingerprint);
  }

  /** Within a transaction. */
  sweep(): void {
    this.#db
      .prepare(
        "DELETE FROM secrets WHERE created_ms < ? AND fingerprint NOT IN (SELECT fingerprint FROM content_secrets)",
      )
      .run(this.#now() - UNNAMED_MS);
  }
}
