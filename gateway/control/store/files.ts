/**
 * Files that survive a power cut: written beside their place, flushed, renamed into it, and the folder flushed. A reader
 * sees the old content or the new, never a part. One file is written by one process.
 */
import { closeSync, constants, fchmodSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** Names that start so are leftovers of a write that was cut off. */
export const PARTIAL_PREFIX = ".partial-";

const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

function partialOf(path: string): string {
  return join(dirname(path), `${PARTIAL_PREFIX}${basename(path)}`);
}

export function writeFileDurably(path: string, bytes: Uint8Array | string, mode: number): void {
  const partial = partialOf(path);
  const data = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  const fd = openSync(partial, FLAGS, mode);
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
  flushFolder(dirname(path));
}

/** The same beside other work: the process does not wait for the disk. */
export async function writeFileDurablyAside(path: string, text: string, mode: number): Promise<void> {
  const partial = partialOf(path);
  const file = await open(partial, FLAGS, mode);
  try {
    await file.chmod(mode);
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await unlink(partial);
    throw error;
  } finally {
    await file.close();
  }
  await rename(partial, path);
  const folder = await open(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function flushFolder(folder: string): void {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
