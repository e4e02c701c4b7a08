/**
 * The directories that this worker may read, by name. They were granted when the gateway was started and are all of the file
 * system that the worker's Landlock domain lets it see beside its own code; here they become descriptors.
 */
import { constants, openSync } from "node:fs";
import { filterError } from "#core/errors/filters.ts";
import type { FileServices } from "#plugins/builtin-filter.ts";
import { openBeneath, readCached } from "#sys/files.ts";

/** Names to absolute paths. */
export type FileGrants = Readonly<Record<string, string>>;

export class FileRoots implements FileServices {
  readonly #grants: FileGrants;
  readonly #opened = new Map<string, number>();

  constructor(grants: FileGrants) {
    this.#grants = grants;
  }

  /** Its descriptor, for the life of the process. Throws PENSTOCK_FILTER_DIRECTORY. */
  directory(name: string): number {
    const known = this.#opened.get(name);
    if (known !== undefined) return known;
    const path = Object.hasOwn(this.#grants, name) ? this.#grants[name] : undefined;
    if (path === undefined) {
      const names = Object.keys(this.#grants).join(", ");
      const detail = `"${name}"; ${names === "" ? "there is none" : `there are ${names}`}`;
      throw filterError("PENSTOCK_FILTER_DIRECTORY", { detail });
    }
    try {
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      this.#opened.set(name, fd);
      return fd;
    } catch (cause) {
      const detail = `"${name}" can't be opened: ${(cause as Error).message}`;
      throw filterError("PENSTOCK_FILTER_DIRECTORY", { detail, cause });
    }
  }

  open(directory: number, path: string): number {
    return openBeneath(directory, path);
  }

  readCached(fd: number, target: Uint8Array, position: number): number {
    return readCached(fd, target, position);
  }
}
