/**
 * The data directory and who may use it. It belongs to the control process's user; one supervisor at a time works on it,
 * and `run.json` says which, and who its workers were, in case it did not get to say goodbye.
 */
import {
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { mainError } from "#core/errors/main.ts";
import { UNPRIVILEGED } from "#main/confine/policies.ts";
import { processStartTime } from "#sys/process.ts";

const RUN_FILE = "run.json";

interface ProcessMark {
  readonly pid: number;
  /** With the pid, names one process for ever. */
  readonly startTime: string;
}

/** How the last upgrade of the gateway that runs went, when it did not go well. */
export interface UpgradeNote {
  readonly atMs: number;
  readonly failed: string;
}

interface RunFile {
  readonly supervisor: ProcessMark;
  readonly workers: readonly ProcessMark[];
  readonly upgrade?: UpgradeNote;
}

/** Who runs on a data directory, for the command line; null: nobody. */
export function runsOn(path: string): { readonly pid: number; readonly upgrade: UpgradeNote | null } | null {
  const run = readRunFile(join(path, RUN_FILE));
  return run === null || !alive(run.supervisor) ? null : { pid: run.supervisor.pid, upgrade: run.upgrade ?? null };
}

export class DataDirectory {
  /** Absolute, free of symbolic links. */
  readonly path: string;
  /** A supervisor died here and workers of its are still there, draining. */
  readonly takeOver: boolean;
  /** Ours to write in; during an upgrade it is the other gateway's, before (`own`) or behind it (`leave`). */
  #owned: boolean;
  #workers: readonly number[] = [];
  #upgrade: UpgradeNote | null = null;

  /**
   * Makes it where it is missing. `predecessor`: the gateway that runs here and will leave it to this one; 0: none. Throws
   * PENSTOCK_MAIN_RUNNING and PENSTOCK_MAIN_DATA.
   */
  constructor(path: string, privileged: boolean, predecessor = 0) {
    try {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      this.path = realpathSync(path);
      if (privileged) own(this.path);
    } catch (cause) {
      throw mainError("PENSTOCK_MAIN_DATA", { detail: (cause as Error).message, cause });
    }
    const last = readRunFile(this.file(RUN_FILE));
    this.#owned = predecessor === 0;
    if (last !== null && alive(last.supervisor) && last.supervisor.pid !== predecessor) {
      throw mainError("PENSTOCK_MAIN_RUNNING", { detail: `${this.path}, process ${last.supervisor.pid}` });
    }
    this.takeOver = last?.workers.some(alive) ?? false;
    this.record([]);
  }

  /** The gateway before has left it. */
  own(): void {
    this.#owned = true;
    this.record(this.#workers);
  }

  /** A successor owns it from now on. */
  leave(): void {
    this.#owned = false;
  }

  /** An upgrade that failed, for whoever asked for it. */
  note(upgrade: UpgradeNote): void {
    this.#upgrade = upgrade;
    this.record(this.#workers);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** To be called whenever a worker has started. */
  record(workerPids: readonly number[]): void {
    this.#workers = workerPids;
    if (!this.#owned) return;
    const run: RunFile = {
      supervisor: mark(process.pid),
      workers: workerPids.map(mark),
      ...(this.#upgrade === null ? {} : { upgrade: this.#upgrade }),
    };
    // Written aside and moved: whoever reads sees one or the other. Not through a link that the control process may have put there.
    const aside = this.file(`${RUN_FILE}~`);
    rmSync(aside, { force: true });
    writeFileSync(aside, JSON.stringify(run), { flag: "wx", mode: 0o600 });
    renameSync(aside, this.file(RUN_FILE));
  }

  /** A clean end: there is nothing to take over. */
  release(): void {
    if (!this.#owned) return;
    for (const name of [RUN_FILE, "admin.sock"]) rmSync(this.file(name), { force: true });
  }
}

function readRunFile(file: string): RunFile | null {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as RunFile;
  } catch {
    // Absent after a clean end; cut short when the machine died while it was written. Neither left a process.
    return null;
  }
}

function mark(pid: number): ProcessMark {
  return { pid, startTime: processStartTime(pid) ?? "" };
}

function alive({ pid, startTime }: ProcessMark): boolean {
  return startTime !== "" && processStartTime(pid) === startTime;
}

/** What the control process keeps there (see gateway/control/protocol.ts). */
const CONTENTS = ["store.db", "store.db-wal", "store.db-shm", "blobs", "snapshot.json", "admin.token"];

/**
 * What an earlier run as another user left becomes the control process's. Only what is known, and only where a store is:
 * a directory that someone named by mistake is refused, not taken. Links are not followed.
 */
function own(directory: string): void {
  const { uid, gid } = UNPRIVILEGED;
  if (lstatSync(directory).uid === uid) return;
  const found = readdirSync(directory);
  if (found.length > 0 && !found.includes("store.db") && !found.includes(RUN_FILE)) {
    throw new Error(`${directory} is neither empty nor a gateway's`);
  }
  for (const name of CONTENTS) {
    const path = join(directory, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isDirectory() === true) for (const file of readdirSync(path)) lchownSync(join(path, file), uid, gid);
    if (stat !== undefined) lchownSync(path, uid, gid);
  }
  lchownSync(directory, uid, gid);
}
