/**
 * The last snapshot that every worker accepted, as one file beside the blobs it names. A supervisor boots workers from
 * it when there is no control process, no database, nothing else alive.
 *
 * Nobody waits for it: a change is safe in the store before, and megabytes are not to be written for each of many small
 * ones. Who is cut off before it is written is served the one before for as long as control takes to start.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson, digestOf, sha256Hex } from "#control/canonical.ts";
import { LAST_GOOD_FILE } from "#control/protocol.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { writeFileDurablyAside } from "./files.ts";

/** Grows when a snapshot's form changes so that an older worker could misread it. */
const FORMAT = 2;
/** The one before: its digest is of the whole text. */
const WHOLE_DIGEST = 1;

/** From a change to the beginning of the write: those that follow at once are one write. */
const PAUSE_MS = 200;

export class LastGood {
  readonly #path: string;
  readonly #failed: (error: unknown, snapshot: Snapshot) => void;
  #next: Snapshot | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Settles when no write is under way. */
  #written: Promise<void> = Promise.resolve();

  /** `failed`: the workers run the snapshot already, so nobody else can be told. */
  constructor(dataDir: string, failed: (error: unknown, snapshot: Snapshot) => void) {
    this.#path = join(dataDir, LAST_GOOD_FILE);
    this.#failed = failed;
  }

  /** Writes it soon, unless another one comes before. */
  keep(snapshot: Snapshot): void {
    this.#next = snapshot;
    this.#timer ??= setTimeout(() => void this.flush(), PAUSE_MS);
  }

  /** Resolves when everything that was to be kept is on the disk, or could not be written. */
  flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#written = this.#written.then(() => this.#write());
    return this.#written;
  }

  async #write(): Promise<void> {
    const snapshot = this.#next;
    if (snapshot === undefined) return;
    this.#next = undefined;
    try {
      await writeFileDurablyAside(this.#path, canonicalJson({ format: FORMAT, snapshot }), 0o600);
    } catch (error) {
      this.#failed(error, snapshot);
    }
  }
}

/** Undefined when there is none yet. Throws when the file is there and is not what was written. */
export function readLastGood(dataDir: string): Snapshot | undefined {
  let text: string;
  try {
    text = readFileSync(join(dataDir, LAST_GOOD_FILE), "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  const { format, snapshot } = JSON.parse(text) as { format: number; snapshot: Snapshot };
  if (format !== FORMAT && format !== WHOLE_DIGEST)
    throw new Error(`${LAST_GOOD_FILE} has format ${format}, expected ${FORMAT}`);
  const { revision: _revision, digest, ...content } = snapshot;
  const found = format === WHOLE_DIGEST ? sha256Hex(canonicalJson(content)) : digestOf(content);
  if (found !== digest) throw new Error(`${LAST_GOOD_FILE} does not match its digest`);
  return snapshot;
}
