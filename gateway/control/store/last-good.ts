/**
 * The last snapshot that every worker accepted, as one file beside the blobs it names. A supervisor boots workers from
 * it when there is no control process, no database, nothing else alive.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson, digestOf } from "#control/canonical.ts";
import { LAST_GOOD_FILE } from "#control/protocol.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import { writeFileDurably } from "./files.ts";

/** Grows when a snapshot's form changes so that an older worker could misread it. */
const FORMAT = 1;

export function writeLastGood(dataDir: string, snapshot: Snapshot): void {
  writeFileDurably(join(dataDir, LAST_GOOD_FILE), canonicalJson({ format: FORMAT, snapshot }), 0o600);
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
  if (format !== FORMAT) throw new Error(`${LAST_GOOD_FILE} has format ${format}, expected ${FORMAT}`);
  const { revision: _revision, digest, ...content } = snapshot;
  if (digestOf(content) !== digest) throw new Error(`${LAST_GOOD_FILE} does not match its digest`);
  return snapshot;
}
