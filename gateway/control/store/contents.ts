/**
 * What revisions say, as rows: whole, or as what is new against another row, its base. One route changed among ten thousand
 * is a row of some hundred bytes, where the whole is megabytes.
 *
 *     whole ◀── new ◀── new ◀── new          a base stays as long as a row leads to it
 *
 * Of one chain, what is new weighs less than the whole, and there are at most `CHAIN_MAX` rows of it: reading a content never
 * takes much more than reading a whole one.
 */
import type { DatabaseSync } from "node:sqlite";
import { canonicalJson, digestOf } from "#control/canonical.ts";
import { listPatch, patchedList, type ListPatch } from "#snapshot/list-patch.ts";
import type { RevisionContent } from "./store.ts";

/** Each is read in about a tenth of a millisecond, where there are ten thousand routes. */
const CHAIN_MAX = 200;

/** One that has been written or read, and the chain behind it. */
interface Known {
  readonly digest: string;
  readonly content: RevisionContent;
  readonly wholeBytes: number;
  readonly newBytes: number;
  readonly rows: number;
}

type Fields = Readonly<Record<string, unknown>>;

interface ContentPatch {
  /** Of the base's lists. */
  readonly lists: Readonly<Record<string, ListPatch>>;
  /** All other fields. */
  readonly rest: Fields;
}

export class Contents {
  readonly #db: DatabaseSync;
  /** The last one, from which the next will hardly differ. */
  #last: Known | undefined;
  /** Of all rows; a transaction that fails may leave it too high, never too low. */
  #bytes: number;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#bytes = this.#counted();
  }

  /** Of all that is kept here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Within a transaction. A content that is there already is not kept twice. */
  put(digest: string, content: RevisionContent): void {
    if (!this.#has(digest)) this.#last = this.#putNew(digest, content) ?? this.#putWhole(digest, content);
  }

  /** What is new against the last one. Undefined: that would be too much, or the chain too long. */
  #putNew(digest: string, content: RevisionContent): Known | undefined {
    const base = this.#last;
    // It may be gone, or the transaction it was put in has failed.
    if (base === undefined || base.rows === CHAIN_MAX || !this.#has(base.digest)) return undefined;
    const body = canonicalJson(patchOf(base.content, content));
    const newBytes = base.newBytes + body.length;
    if (newBytes >= base.wholeBytes) return undefined;
    this.#insert(digest, base.digest, body);
    return { ...base, digest, content, newBytes, rows: base.rows + 1 };
  }

  #putWhole(digest: string, content: RevisionContent): Known {
    const body = canonicalJson(content);
    this.#insert(digest, null, body);
    return { digest, content, wholeBytes: body.length, newBytes: 0, rows: 0 };
  }

  #insert(digest: string, base: string | null, body: string): void {
    this.#db.prepare("INSERT INTO contents (digest, base, body) VALUES (?, ?, ?)").run(digest, base, body);
    this.#bytes += body.length;
  }

  /** Throws when it is not there, or the rows it is made of are not what they were. */
  get(digest: string): RevisionContent {
    const select = this.#db.prepare("SELECT base, body FROM contents WHERE digest = ?");
    const bodies: string[] = [];
    for (let at: unknown = digest; at !== null;) {
      const row = select.get(String(at));
      if (row === undefined)
        throw new Error(`store: content ${digest} ${at === digest ? "is not there" : "has lost its base"}`);
      bodies.push(String(row["body"]));
      at = row["base"];
    }
    const [whole = "", ...patches] = bodies.toReversed();
    let content = JSON.parse(whole) as RevisionContent;
    for (const patch of patches) content = patched(content, JSON.parse(patch) as ContentPatch);
    if (patches.length > 0 && digestOf(content) !== digest) throw new Error(`store: content ${digest} is damaged`);
    const newBytes = patches.reduce((sum, patch) => sum + patch.length, 0);
    this.#last = { digest, content, wholeBytes: whole.length, newBytes, rows: patches.length };
    return content;
  }

  /** Within a transaction: removes what no revision says and no row that stays is based on. */
  sweep(): void {
    this.#db.exec(`
      WITH RECURSIVE needed (digest) AS (
        SELECT digest FROM revisions
        UNION SELECT contents.base FROM contents JOIN needed USING (digest) WHERE contents.base IS NOT NULL
      )
      DELETE FROM contents WHERE digest NOT IN (SELECT digest FROM needed)`);
    this.#bytes = this.#counted();
  }

  #counted(): number {
    return Number(this.#db.prepare("SELECT sum(octet_length(body)) AS bytes FROM contents").get()?.["bytes"] ?? 0);
  }

  #has(digest: string): boolean {
    return this.#db.prepare("SELECT 1 FROM contents WHERE digest = ?").get(digest) !== undefined;
  }
}

function patchOf(base: RevisionContent, content: RevisionContent): ContentPatch {
  const before = fieldsOf(base);
  const lists: Record<string, ListPatch> = {};
  const rest: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fieldsOf(content))) {
    const old = before[name];
    if (Array.isArray(value) && Array.isArray(old)) lists[name] = listPatch(old, value);
    else rest[name] = value;
  }
  return { lists, rest };
}

function patched(base: RevisionContent, { lists, rest }: ContentPatch): RevisionContent {
  const before = fieldsOf(base);
  const made: Record<string, unknown> = { ...rest };
  for (const [name, patch] of Object.entries(lists))
    made[name] = patchedList(before[name] as readonly unknown[], patch);
  const { ages, ...declaration } = made;
  const sorted = Object.entries(declaration).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { ages: ages as RevisionContent["ages"], declaration: Object.fromEntries(sorted) };
}

/** No field of a declaration is called `ages`. */
function fieldsOf({ declaration, ages }: RevisionContent): Fields {
  return { ...declaration, ages };
}
