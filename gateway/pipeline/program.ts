/**
 * What a script asks for while it is loaded: where to listen, which files to follow or to write, and what to do at its end. A
 * script's module is evaluated once in each worker; `listen` and its like find the program under way by themselves. Nothing is
 * open before the program is committed, so a script that throws has changed nothing.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import type { Pipeline } from "./layout/pipeline.ts";
import type { ListenOptions } from "./listen-options.ts";
import { OutputFile } from "./sockets/output-file.ts";

/** One address a program listens on. */
export interface ListenSpec {
  readonly address: string;
  readonly pipeline: Pipeline;
  readonly options: ListenOptions;
}

interface Watch {
  readonly url: string;
  readonly act: (bytes: Uint8Array) => void;
}

export interface ProgramParts {
  /** What `load` and `watch` can read, by `file:` URL. */
  readonly files?: readonly { readonly url: string; readonly bytes: Uint8Array }[];
  /** URL of the script. */
  readonly base?: string;
  /** For what goes wrong with its files. */
  readonly log?: (line: string) => void;
}

export class Program {
  readonly listens: ListenSpec[] = [];
  /** By `file:` URL. */
  readonly outputs = new Map<string, OutputFile>();
  readonly #ends: (() => void)[] = [];
  readonly #watches: Watch[] = [];
  readonly #files: Map<string, Uint8Array>;
  readonly #base: string;
  readonly #log: (line: string) => void;

  constructor({ files = [], base = "file:///", log = () => {} }: ProgramParts = {}) {
    this.#files = new Map(files.map(({ url, bytes }) => [url, bytes]));
    this.#base = base;
    this.#log = log;
  }

  listen(spec: ListenSpec): void {
    const { protocol = "tcp" } = spec.options;
    const taken = this.listens.some(
      (one) => one.address === spec.address && (one.options.protocol ?? "tcp") === protocol,
    );
    if (taken) throw pipelineError("PENSTOCK_PIPELINE_LISTEN", { detail: `${spec.address} (${protocol}) twice` });
    this.listens.push(spec);
  }

  /** By its path from the script. Throws PENSTOCK_PIPELINE_FILE when the script was sent without it. */
  file(path: string): Uint8Array {
    const bytes = this.#files.get(this.#url(path));
    if (bytes === undefined) throw pipelineError("PENSTOCK_PIPELINE_FILE", { detail: JSON.stringify(path) });
    return bytes;
  }

  watch(path: string, act: (bytes: Uint8Array) => void): void {
    act(this.file(path));
    this.#watches.push({ url: this.#url(path), act });
  }

  /** A file has other content now. `report` hears what handlers throw. */
  changed(url: string, bytes: Uint8Array, report: (error: unknown) => void): void {
    this.#files.set(url, bytes);
    const watches = this.#watches.filter((watch) => watch.url === url);
    runAll(
      watches.map(
        ({ act }) =>
          () =>
            act(bytes),
      ),
      report,
    );
  }

  output(path: string): OutputFile {
    const url = this.#url(path);
    const known = this.outputs.get(url);
    if (known !== undefined) return known;
    const made = new OutputFile(path, this.#log);
    this.outputs.set(url, made);
    return made;
  }

  #url(path: string): string {
    return new URL(path, this.#base).href;
  }

  /** `act` runs when the program has been replaced, or was refused: timers stop, and the like. */
  onEnd(act: () => void): void {
    this.#ends.push(act);
  }

  /** Once. `report` hears what throws. */
  end(report: (error: unknown) => void): void {
    runAll(this.#ends.splice(0), report);
    this.#watches.length = 0;
  }

  /** When the last of its streams is over. */
  closeOutputs(): void {
    for (const output of this.outputs.values()) output.release();
    this.outputs.clear();
  }
}

function runAll(acts: readonly (() => void)[], report: (error: unknown) => void): void {
  for (const act of acts) {
    try {
      act();
    } catch (error) {
      report(error);
    }
  }
}

let current: Program | null = null;

/** The program of the script that is being loaded. Throws PENSTOCK_PIPELINE_OUTSIDE. */
export function currentProgram(what: string): Program {
  if (current === null) throw pipelineError("PENSTOCK_PIPELINE_OUTSIDE", { detail: what });
  return current;
}

/** Evaluates a script for `program`: one at a time. */
export async function loadProgram(program: Program, evaluate: () => Promise<unknown>): Promise<void> {
  current = program;
  try {
    await evaluate();
  } finally {
    current = null;
  }
}

/**
 * The bytes of a file beside the script, as it was when the script was read: `load("./hosts.json")`, the path written out, so
 * that it can be sent along. With `--watch` a change of the file is a change of the script. Throws PENSTOCK_PIPELINE_FILE.
 */
export function load(path: string): Uint8Array {
  return currentProgram("load").file(path);
}

/**
 * Runs `act` with the bytes of a file beside the script, now and whenever they change, without a reload: `watch("./hosts.json", …)`,
 * the path written out. What `act` throws now refuses the script; what it throws later is logged, and changes nothing else.
 */
export function watch(path: string, act: (bytes: Uint8Array) => void): void {
  currentProgram("watch").watch(path, act);
}

/** Runs `act` when this script has been replaced, or the gateway stops. */
export function onExit(act: () => void): void {
  currentProgram("onExit").onEnd(act);
}
