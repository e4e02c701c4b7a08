/**
 * The database's layout, by `user_version`. A step is never edited once released: a new one is added. A database of a
 * later version is refused, since what an older program does not know it would destroy.
 */
import type { DatabaseSync } from "node:sqlite";

const STEPS: readonly string[] = [
  `
  CREATE TABLE contents (digest TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- No foreign key to modules: what a refused revision named may be gone.
  CREATE TABLE content_modules (
    content TEXT NOT NULL REFERENCES contents (digest) ON DELETE CASCADE,
    module TEXT NOT NULL,
    PRIMARY KEY (content, module)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX content_modules_by_module ON content_modules (module);

  -- AUTOINCREMENT: a number is never given twice.
  CREATE TABLE revisions (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    digest TEXT NOT NULL REFERENCES contents (digest),
    state TEXT NOT NULL CHECK (state IN ('pending', 'applied', 'refused')),
    author TEXT NOT NULL,
    message TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    reason TEXT NOT NULL
  ) STRICT;

  CREATE TABLE current (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL REFERENCES revisions (number)) STRICT;

  CREATE TABLE modules (
    digest TEXT PRIMARY KEY,
    metered_digest TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    facts TEXT NOT NULL,
    created_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
  ) STRICT;

  -- What happened once and is remembered for good: 'had_tokens'.
  CREATE TABLE facts (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    revision INTEGER NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'refused')),
    reason TEXT NOT NULL,
    hash TEXT NOT NULL
  ) STRICT;

  CREATE TABLE audit_head (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
  `,
  `
  -- id: of caller and key; sealed: NULL until the request has been answered.
  CREATE TABLE kept_answers (
    id BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    sealed BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX kept_answers_by_age ON kept_answers (created_ms);
  `,
  `
  -- owner: the tenant, or empty; digest: SHA-256 of the public key. Sealed by the supervisor: nobody else can open it.
  CREATE TABLE private_keys (
    owner TEXT NOT NULL,
    digest TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, digest)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  CREATE TABLE source_maps (digest TEXT PRIMARY KEY REFERENCES modules (digest) ON DELETE CASCADE, body TEXT NOT NULL) STRICT;
  `,
  `
  -- NULL: the body is whole. Else it is what is new against that content, which stays as long as this one.
  ALTER TABLE contents ADD COLUMN base TEXT;
  `,
  `
  -- Sealed by the supervisor; the fingerprint is keyed, over tenant, name and value.
  CREATE TABLE secrets (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, fingerprint)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE content_secrets (
    content TEXT NOT NULL REFERENCES contents (digest) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (content, fingerprint)
  ) STRICT, WITHOUT ROWID;
  `,
];

/** The one that this version makes, and the newest it knows. */
export const LAYOUT = STEPS.length;

export function migrate(db: DatabaseSync): void {
  const version = Number(db.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version > LAYOUT) {
    throw new Error(`the store has layout ${version}, and this version of penstock knows ${LAYOUT}: use a newer one`);
  }
  for (const [index, step] of STEPS.entries()) {
    if (index < version) continue;
    db.exec(`BEGIN IMMEDIATE; ${step} PRAGMA user_version=${index + 1}; COMMIT;`);
  }
}
