/**
 * What `run` was given, `-f FILE` or `--script FILE`, read again: on SIGHUP and, with `--watch`, when a file changes that was
 * read the last time. What is refused changes nothing; the log says why, with file and line. One reading at a time: what comes
 * meanwhile is one more.
 */
import { watch, type FSWatcher } from "node:fs";
import { join } from "node:path";
import type { DeclareRequest } from "#control/protocol.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import type { ServiceManager } from "./service-manager.ts";

/** Editors write a file in several steps, and a deployment writes several files. */
const SETTLE_MS = 200;

export interface ReadDeclaration {
  readonly declaration: Omit<DeclareRequest, "type" | "id">;
  /** Folders of everything that was read, absolute. */
  readonly folders: ReadonlySet<string>;
}

/** Something that was read, and can be put into force. */
export interface Reading {
  /** Folders of everything that was read, absolute. */
  readonly folders: ReadonlySet<string>;
  /** In them, what matters, absolute; absent: whatever changes there. */
  readonly files?: ReadonlySet<string>;
  /** Rejects, or says line by line why not. */
  readonly apply: () => Promise<Outcome>;
}

export type Outcome =
  | { readonly ok: true; readonly status: string; readonly changed: boolean }
  | { readonly ok: false; readonly lines: readonly string[] };

export interface ReloadOptions {
  /** `declaration` or `script`. */
  readonly what: string;
  /** Throws PenstockError. */
  readonly read: () => Promise<Reading>;
  readonly log: LogSink;
  readonly manager: ServiceManager;
}

export class Reload {
  readonly #options: ReloadOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #watching = false;
  #files: ReadonlySet<string> | undefined = undefined;
  #settling: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** The first reading. */
  reading(): Promise<Reading> {
    return this.#options.read();
  }

  /** `why` is for the log: `SIGHUP`. */
  request(why: string): void {
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    this.#options.log("info", `${why}: reading the ${this.#options.what} again`);
    this.#running = this.#reload().finally(() => {
      this.#running = null;
      if (!this.#again) return;
      this.#again = false;
      this.request(why);
    });
  }

  /** Follows what was read, and what is read later. */
  watch({ folders, files }: Pick<Reading, "folders" | "files">): void {
    this.#watching = true;
    this.#files = files;
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue;
      const watcher = watch(folder, (_, name) => this.#changed(name === null ? null : join(folder, name)));
      watcher.on("error", (error) =>
        this.#options.log("warn", `${folder} can't be watched any more: ${error.message}`),
      );
      this.#watchers.set(folder, watcher);
    }
  }

  close(): void {
    if (this.#settling !== null) clearTimeout(this.#settling);
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  /** `file`: null when the kernel has not told which. */
  #changed(file: string | null): void {
    if (file !== null && this.#files?.has(file) === false) return;
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = null;
      this.request("a file changed");
    }, SETTLE_MS);
  }

  async #reload(): Promise<void> {
    const { what, read, log, manager } = this.#options;
    let status = `the ${what} was refused; the one before goes on`;
    manager.reloading();
    try {
      const reading = await read();
      if (this.#watching) this.watch(reading);
      const outcome = await reading.apply();
      if (outcome.ok) {
        ({ status } = outcome);
        log("info", outcome.changed ? `${status} is in force` : "nothing has changed");
      } else {
        for (const line of outcome.lines) log("error", line);
      }
    } catch (error) {
      log("error", `the ${what} was not taken: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      manager.reloaded(status);
    }
  }
}
