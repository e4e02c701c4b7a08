/**
 * Files that scripts write to, opened here on their behalf: workers can open none. Only what the script's text names is opened,
 * to append, and each opening is logged. A script that comes into force has them opened anew.
 */
import { closeSync, constants, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { asFd } from "#core/brands.ts";
import { scriptError } from "#core/errors/script.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { tagged, type Tagged } from "#main/supervisor/tags.ts";
import type { ScriptBundle } from "#worker/script/protocol.ts";

const APPEND =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const MODE = 0o640;

type Opened = ReadonlyMap<string, Tagged>;
const NONE: Opened = new Map();

export class ScriptOutputs {
  readonly #log: LogSink;
  /** By `file:` URL. */
  #current: Opened = NONE;
  #next: Opened | null = null;

  constructor(log: LogSink) {
    this.#log = log;
  }

  /** Throws PENSTOCK_SCRIPT_OUTPUT with the path and the reason; then nothing is open that was not. */
  prepare({ outputs }: Pick<ScriptBundle, "outputs">, wanted: readonly string[]): void {
    const opened = new Map<string, Tagged>();
    this.#next = opened;
    for (const url of wanted) {
      const path = fileURLToPath(url);
      if (!outputs.includes(url))
        throw scriptError("PENSTOCK_SCRIPT_OUTPUT", { detail: `${path}: the path is not written out in the script` });
      opened.set(url, openToAppend(path));
    }
  }

  /** Of the script on its way, or of the one in force. */
  get opened(): Opened {
    return this.#next ?? this.#current;
  }

  commit(): void {
    if (this.#next === null) return;
    closeAll(this.#current);
    this.#current = this.#next;
    this.#next = null;
    for (const url of this.#current.keys()) this.#log("info", "the script writes a file", { path: fileURLToPath(url) });
  }

  abort(): void {
    if (this.#next !== null) closeAll(this.#next);
    this.#next = null;
  }

  close(): void {
    this.abort();
    closeAll(this.#current);
    this.#current = NONE;
  }
}

function openToAppend(path: string): Tagged {
  try {
    return tagged(asFd(openSync(path, APPEND, MODE)));
  } catch (cause) {
    throw scriptError("PENSTOCK_SCRIPT_OUTPUT", { detail: `${path}: ${(cause as Error).message}`, cause });
  }
}

function closeAll(opened: Opened): void {
  for (const { fd } of opened.values()) closeSync(fd);
}
