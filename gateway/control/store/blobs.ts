/**
 * Modules as files named by what they contain. Equal bytes are stored once; a file in place is whole (`files.ts`), so
 * having the name is having the bytes. Rows of the database refer to files, never the other way round: a file without a
 * row is swept at start.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { moduleFile } from "#control/protocol.ts";
import { sha256Hex } from "#control/canonical.ts";
import { flushFolder, writeFileDurably } from "./files.ts";

const DIGEST = /^[0-9a-f]{64}$/;

export class Blobs {
  readonly #dataDir: string;
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
    this.#folder = join(dataDir, "blobs");
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
  }

  /** Stores the bytes and returns their digest. */
  put(bytes: Uint8Array): string {
    const digest = sha256Hex(bytes);
    const path = moduleFile(this.#dataDir, digest);
    if (!existsSync(path)) writeFileDurably(path, bytes, 0o600);
    return digest;
  }

  has(digest: string): boolean {
    return DIGEST.test(digest) && existsSync(moduleFile(this.#dataDir, digest));
  }

  /** Throws when the file isn't there or isn't what its name says. */
  get(digest: string): Uint8Array {
    const bytes = readFileSync(moduleFile(this.#dataDir, digest));
    if (sha256Hex(bytes) !== digest) throw new Error(`blob ${digest} does not contain what its name says`);
    return bytes;
  }

  /** Removes every file that nothing refers to, and leftovers of writes; returns how many. */
  sweep(referenced: ReadonlySet<string>): number {
    let removed = 0;
    for (const name of readdirSync(this.#folder)) {
      if (referenced.has(name)) continue;
      unlinkSync(join(this.#folder, name));
      removed++;
    }
    if (removed > 0) flushFolder(this.#folder);
    return removed;
  }
}
