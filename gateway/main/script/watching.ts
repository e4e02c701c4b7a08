/** Files that a script follows (`watch`): what changes is told to all workers, and is what new ones begin with. */
import { readFileSync, watch, type FSWatcher } from "node:fs";
import { basename, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { LogSink } from "#main/supervisor/log.ts";
import type { ScriptBundle, ScriptFile } from "#worker/script/protocol.ts";

/** Editors write a file in several steps. */
const SETTLE_MS = 100;

export class ScriptWatching {
  readonly #log: LogSink;
  readonly #changed: (file: ScriptFile) => void;
  #watchers: FSWatcher[] = [];
  readonly #settling = new Map<string, NodeJS.Timeout>();

  /** `changed`: another content, by `file:` URL. */
  constructor(log: LogSink, changed: (file: ScriptFile) => void) {
    this.#log = log;
    this.#changed = changed;
  }

  /** From now on these are followed, and no others. */
  follow(bundle: Pick<ScriptBundle, "watched">): void {
    this.close();
    const folders = new Map<string, string[]>();
    for (const url of bundle.watched) {
      const folder = dirname(fileURLToPath(url));
      folders.set(folder, [...(folders.get(folder) ?? []), url]);
    }
    // Whoever replaces a file by another of its name makes a new one: the folder is watched.
    for (const [folder, urls] of folders) {
      const watcher = watch(folder, (_, name) => {
        for (const url of urls) if (name === null || name === basename(fileURLToPath(url))) this.#settle(url);
      });
      watcher.on("error", (error) => this.#log("warn", `${folder} can't be watched any more: ${error.message}`));
      this.#watchers.push(watcher);
    }
  }

  close(): void {
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    for (const timer of this.#settling.values()) clearTimeout(timer);
    this.#settling.clear();
  }

  #settle(url: string): void {
    clearTimeout(this.#settling.get(url));
    const timer = setTimeout(() => {
      this.#settling.delete(url);
      this.#read(url);
    }, SETTLE_MS);
    this.#settling.set(url, timer);
  }

  #read(url: string): void {
    const path = fileURLToPath(url);
    try {
      this.#changed({ url, bytes: readFileSync(path) });
    } catch (error) {
      this.#log("warn", `${path}, which the script watches, can't be read: ${(error as Error).message}`);
    }
  }
}
