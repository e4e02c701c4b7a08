/**
 * Module bytes from the data directory, by digest. The directory belongs to the control process, which is trusted less
 * than the supervisor: what is read is a plain file, of bounded size, and is what its name says.
 */
import { createHash } from "node:crypto";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { mainError } from "#core/errors/main.ts";
import { moduleFile } from "#control/protocol.ts";
import type { Snapshot } from "#snapshot/snapshot.ts";
import type { ModuleBytes } from "#worker/protocol.ts";

const DIGEST = /^[0-9a-f]{64}$/;
/** An upload is at most 16 MiB by the largest quota; metering makes it at most thrice as large. */
const MODULE_BYTES_MAX = 64 * 1024 * 1024;

/** The modules of a snapshot, each once. Throws PENSTOCK_MAIN_MODULE. */
export function readModules(dataDir: string, snapshot: Snapshot, known: readonly ModuleBytes[]): ModuleBytes[] {
  const byDigest = new Map(known.map((module) => [module.digest, module]));
  const digests = new Set(snapshot.plugins.map((plugin) => plugin.digest));
  return [...digests].map((digest) => byDigest.get(digest) ?? { digest, bytes: readModule(dataDir, digest) });
}

function readModule(dataDir: string, digest: string): Uint8Array {
  if (!DIGEST.test(digest)) throw mainError("PENSTOCK_MAIN_MODULE", { detail: JSON.stringify(digest.slice(0, 80)) });
  let bytes: Uint8Array;
  try {
    bytes = readPlainFile(moduleFile(dataDir, digest));
  } catch (cause) {
    throw mainError("PENSTOCK_MAIN_MODULE", { detail: `${digest}: ${(cause as Error).message}`, cause });
  }
  const actual = createHash("sha256").update(bytes).digest("hex");
  if (actual !== digest) throw mainError("PENSTOCK_MAIN_MODULE", { detail: `${digest} contains ${actual}` });
  return bytes;
}

/** Neither a link to somewhere else, nor a pipe that never ends. */
function readPlainFile(path: string): Uint8Array {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > MODULE_BYTES_MAX) throw new Error("not a plain file of a reasonable size");
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}
