/**
 * `run -f FILE`, read again: on SIGHUP and, with `--watch`, when a file changes that was read the last time. A declaration
 * that is refused changes nothing; the log says why, with file and line. One reading at a time: what comes meanwhile is one more.
 */
import { watch, type FSWatcher } from "node:fs";
import type { DeclaredReply, DeclareRequest } from "#control/protocol.ts";
import type { LogSink } from "#main/supervisor/log.ts";
import { refusal } from "./refusal.ts";
import type { ServiceManager } from "./service-manager.ts";

/** Editors write a file in several steps, and a deployment writes several files. */
const SETTLE_MS = 200;

export interface ReadDeclaration {
  readonly declaration: Omit<DeclareRequest, "type" | "id">;
  /** Folders of everything that was read, absolute. */
  readonly folders: ReadonlySet<string>;
}

export interface ReloadOptions {
  /** Throws PenstockError. */
  readonly read: () => Promise<ReadDeclaration>;
  readonly declare: (declaration: ReadDeclaration["declaration"]) => Promise<DeclaredReply>;
  readonly log: LogSink;
  readonly manager: ServiceManager;
}

export class Reload {
  readonly #options: ReloadOptions;
  readonly #watchers = new Map<string, FSWatcher>();
  #watching = false;
  #settling: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** `why` is for the log: `SIGHUP`. */
  request(why: string): void {
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    this.#options.log("info", `${why}: reading the declaration again`);
    this.#running = this.#reload().finally(() => {
      this.#running = null;
      if (!this.#again) return;
      this.#again = false;
      this.request(why);
    });
  }

  /** Follows these folders, and those of every later reading. */
  watch(folders: ReadonlySet<string>): void {
    this.#watching = true;
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue;
      const watcher = watch(folder, () => this.#changed());
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

  #changed(): void {
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.#settling = null;
      this.request("a file changed");
    }, SETTLE_MS);
  }

  async #reload(): Promise<void> {
    const { read, declare, log, manager } = this.#options;
    let status = "the declaration was refused; the one before goes on";
    manager.reloading();
    try {
      const { declaration, folders } = await read();
      if (this.#watching) this.watch(folders);
      const reply = await declare(declaration);
      if (reply.ok) {
        status = `revision ${reply.revision}`;
        log("info", reply.changed ? `${status} is in force` : "nothing has changed");
      } else {
        for (const line of refusal(reply)) log("error", line);
      }
    } catch (error) {
      log("error", `the declaration was not read: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      manager.reloaded(status);
    }
  }
}
