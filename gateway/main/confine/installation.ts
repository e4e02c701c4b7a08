/** Where this program is: paths that the supervisor computes once and children are confined to. */
import { realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Installation {
  /** The checkout, or the installed copy of it: absolute, free of symbolic links. */
  readonly root: string;
  /** The Node binary that runs everything. */
  readonly node: string;
}

export function thisInstallation(): Installation {
  return {
    root: realpathSync(fileURLToPath(new URL("../../..", import.meta.url))),
    node: realpathSync(process.execPath),
  };
}
