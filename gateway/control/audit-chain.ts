/**
 * The audit log's chain: each row's hash covers the row and the hash before it, so that who knows the last hash knows
 * all of it. Here is what the store and `penstock audit verify` have to agree on, and nothing else.
 *
 *     hash(n) = SHA-256(hash(n − 1) ‖ "\n" ‖ canonical JSON of row n),   hash(0) = 64 zeros
 */
import { canonicalJson, sha256Hex } from "./canonical.ts";

export const GENESIS = "0".repeat(64);

export interface AuditEntry {
  /** `socket`, `token ID (NAME)`, or the part of the gateway that did it by itself. */
  readonly who: string;
  /** `put route acme/orders`, `revoke token`: for people. */
  readonly what: string;
  /** What exactly: the digest of a revision's content or of a module, a token's id, a map's entry. */
  readonly subject: string;
  /** 0: makes no revision. */
  readonly revision: number;
  readonly outcome: "done" | "refused";
  /** Why it was refused; else empty. */
  readonly reason: string;
}

export interface AuditRow extends AuditEntry {
  /** 1, 2, 3 … without gaps. */
  readonly number: number;
  /** Milliseconds since the epoch, by the gateway's clock. */
  readonly atMs: number;
  /** 64 lower-case hex digits. */
  readonly hash: string;
}

/** The end of the chain; number 0 and `GENESIS`: nothing happened yet. */
export interface AuditHead {
  readonly number: number;
  readonly hash: string;
}

export function auditHash(previous: string, row: Omit<AuditRow, "hash">): string {
  const { number, atMs, who, what, subject, revision, outcome, reason } = row;
  const text = canonicalJson({ number, atMs, who, what, subject, revision, outcome, reason });
  return sha256Hex(`${previous}\n${text}`);
}

/** Follows rows in their order, from the first; says what is wrong with the first that breaks the chain. */
export class AuditVerifier {
  #head: AuditHead = { number: 0, hash: GENESIS };

  get head(): AuditHead {
    return this.#head;
  }

  /** Undefined: the row is the next one, as it was written. After a fault nothing more can be said. */
  next(row: AuditRow): string | undefined {
    const expected = this.#head.number + 1;
    if (row.number > expected) return `row ${expected} is missing: row ${row.number} follows row ${this.#head.number}`;
    if (row.number < expected) return `row ${row.number} follows row ${this.#head.number}: it was put in`;
    if (auditHash(this.#head.hash, row) !== row.hash) {
      return `row ${row.number} is not what was written: its hash, or one before it, was changed`;
    }
    this.#head = { number: row.number, hash: row.hash };
    return undefined;
  }

  /** What the store says the end is. Undefined: it is where the rows ended. */
  end(head: AuditHead): string | undefined {
    if (head.number > this.#head.number)
      return `rows ${this.#head.number + 1} to ${head.number} are missing at the end`;
    if (head.number < this.#head.number) return `row ${head.number + 1} was put in at the end`;
    return head.hash === this.#head.hash ? undefined : `the end of the log is not what was written`;
  }
}
