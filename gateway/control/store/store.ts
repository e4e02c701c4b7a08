/**
 * What control remembers, behind an interface: revisions of the declaration, modules, tokens, and who changed what. Every
 * method that changes something is one transaction, with its row of the audit log, durable when it returns. Times are
 * milliseconds since the epoch.
 */
import type { AuditEntry, AuditHead, AuditRow } from "#control/audit-chain.ts";
import type { Declaration } from "#control/config/declaration.ts";
import type { ModuleFacts } from "#control/protocol.ts";
import type { KeptAnswers } from "./kept-answers.ts";
import type { Secrets } from "./secrets.ts";

/** What a revision says. Immutable, named by its digest. */
export interface RevisionContent {
  readonly declaration: Declaration;
  /** Routes as `tenant/name`, oldest first: decides ties between matches. */
  readonly ages: readonly string[];
}

/** Pending until the gateway has answered; only an applied revision was ever in force. */
export type RevisionState = "pending" | "applied" | "refused";

export interface Revision {
  /** 1, 2, 3 …; a refused revision keeps its number. */
  readonly number: number;
  /** SHA-256 of the content (`digestOf`). */
  readonly digest: string;
  readonly state: RevisionState;
  readonly author: string;
  readonly message: string;
  readonly createdMs: number;
  /** Why it was refused. */
  readonly reason: string;
}

export interface NewRevision {
  readonly content: RevisionContent;
  readonly author: string;
  readonly message: string;
}

export interface StoredModule {
  /** SHA-256 of the module as uploaded. */
  readonly digest: string;
  readonly meteredDigest: string;
  readonly bytes: number;
  readonly facts: ModuleFacts;
  readonly createdMs: number;
}

export interface StoredToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdMs: number;
  /** 0: never. */
  readonly expiresMs: number;
}

/** Of revisions, the newest that stay within both. */
export interface StoreBounds {
  readonly revisionsMax: number;
  /** Of what they say, as it is stored. */
  readonly contentBytesMax: number;
}

/** Names that start so, in the data folder, are backups on their way out. */
export const BACKUP_PREFIX = ".backup-";

export interface Store {
  /** The revision in force. */
  current(): (Revision & { readonly content: RevisionContent }) | undefined;
  revision(number: number): (Revision & { readonly content: RevisionContent }) | undefined;
  /** Newest first, those below `before` (all when undefined), at most `limit`. */
  revisions(before: number | undefined, limit: number): Revision[];
  /** Numbers and keeps a revision that is about to be tried. */
  begin(revision: NewRevision): Revision;
  /** The gateway runs it: it becomes the current one. */
  applied(number: number, who: string): void;
  refused(number: number, reason: string, who: string): void;

  /** Keeps an uploaded module and the metered one that was made of it. The same upload twice is one module. */
  addModule(uploaded: Uint8Array, metered: Uint8Array, facts: ModuleFacts, who: string): StoredModule;
  module(digest: string): StoredModule | undefined;
  moduleBytes(digest: string): Uint8Array;
  /** Keeps the source map of a module by the module's digest, as long as the module; another one replaces it. */
  addSourceMap(digest: string, text: string, who: string): void;
  sourceMap(digest: string): string | undefined;
  hasSourceMap(digest: string): boolean;

  /** Keeps a sealed private key by its owner (a tenant, or empty) and the digest of its public key; another seal replaces it. */
  addPrivateKey(owner: string, digest: string, sealed: string, who: string): void;
  /** The sealed key; undefined: none was given. */
  privateKey(owner: string, digest: string): string | undefined;

  /** `hash` is the SHA-256 of the token's text, 32 bytes. */
  addToken(token: StoredToken, hash: Uint8Array, who: string): void;
  tokenByHash(hash: Uint8Array): (StoredToken & { readonly hash: Uint8Array }) | undefined;
  tokens(): StoredToken[];
  /** Also true when all were revoked since. */
  everHadTokens(): boolean;
  /** False when there is no such token. */
  removeToken(id: string, who: string): boolean;

  /** What was changed outside the store. Its own changes write their rows themselves. */
  audit(entry: AuditEntry): void;
  /** Oldest first, those above `after`, at most `limit`. */
  auditRows(after: number, limit: number): AuditRow[];
  auditHead(): AuditHead;
  /** The number of the row before the first that is about a revision after this one; the last row's when none is. */
  auditBefore(revision: number): number;

  /** Writes a backup (`backup.ts`) to a file that is not there yet. Changes may be made meanwhile: it has them or not. */
  backup(path: string, who: string): Promise<void>;

  readonly secrets: Secrets;

  /** Answers that are given again to who asks again. */
  readonly keptAnswers: KeptAnswers;

  close(): void;
}
