/**
 * Files that survive a power cut: written beside their place, flushed, renamed into it, and the folder flushed. A reader
 * sees the old content or the new, never a part. One file is written by one process.
 */
import { closeSync, constants, fchmodSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/** Names that start so are leftovers of a write that was cut off. */
export const PARTIAL_PREFIX = ".partial-";

export function writeFileDurably(path: string, bytes: Uint8Array | string, mode: number): void {
  const folder = dirname(path);
  const partial = join(folder, `${PARTIAL_PREFIX}${basename(path)}`);
  const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  const fd = openSync(partial, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW, mode);
  try {
    // A leftover may have been made with another mode, and the umask takes bits away.
    fchmodSync(fd, mode);
    for (let at = 0; at < data.length;) at += writeSync(fd, data, at);
    fsyncSync(fd);
  } catch (error) {
    unlinkSync(partial);
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(partial, path);
  flushFolder(folder);
}

export function flushFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
