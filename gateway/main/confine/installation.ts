/** Where this program is: paths that the supervisor computes once and children are confined to. */
import { realpathSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface Installation {
  /** The checkout, or the installed copy of it: absolute, free of symbolic links. */
  readonly root: string;
  /** The Node binary that runs everything. */
  readonly node: string;
}

/** One of each kind of file that children read: they were all made under the same umask. */
const SAMPLES = ["package.json", "gateway/main/confine/seal.ts", "node_modules/koffi/package.json"];
const OTHERS_READ = 0o004;

/**
 * Files that another user can't read, as after a clone under umask 077. Children of a supervisor that gives up root could not
 * start. Empty when all is well.
 */
export function unreadableFiles({ root, node }: Installation): string[] {
  const files = [node, ...SAMPLES.map((name) => join(root, name))];
  return files.filter((file) => (statSync(file, { throwIfNoEntry: false })?.mode ?? OTHERS_READ) % 8 < OTHERS_READ);
}

export function thisInstallation(): Installation {
  return {
    root: realpathSync(fileURLToPath(new URL("../../..", import.meta.url))),
    node: realpathSync(process.execPath),
  };
}
