/**
 * What supervisor and worker say to each other about scripts: types only.
 *
 *     script-load ─▶ script-loaded, then script-bind ─▶ script-bound, then script-commit ─▶ script-committed
 *                                              script-abort at any time before commit (no answer)
 *
 * Loading evaluates the script and opens nothing; binding gives it the sockets it asked for, which the supervisor has
 * opened; from the commit on it serves, and the program before it takes nothing new. Descriptors travel as for snapshots
 * (`#worker/protocol.ts`), ahead of the `script-bind` that names them. At most one program is on its way.
 */

import type { KernelRequest } from "#pipeline/host.ts";
import type { SteerOptions } from "#pipeline/listen-options.ts";

export type { KernelPlace, KernelRequest, ObjectAnswer } from "#pipeline/host.ts";
export type { NetlinkMessage, NetworkRequest } from "#pipeline/network.ts";
export type { FigureReading } from "#pipeline/library/stats.ts";

/** A script with all that it imports or loads, as read by the supervisor: a worker has no files. */
export interface ScriptBundle {
  /** Of all that follows: the same bundle twice is no change. */
  readonly digest: string;
  /** `file:` URL of the script itself. */
  readonly entry: string;
  readonly modules: readonly ScriptModule[];
  /** Files that `load("./…")` and its like name, by `file:` URL. */
  readonly files: readonly ScriptFile[];
  /** Of these, what `watch("./…")` names: their content is no part of the digest. */
  readonly watched: readonly string[];
  /** Files that `tee("…")` names, by `file:` URL: all that may be written. */
  readonly outputs: readonly string[];
  /** Commands that `exec("…")` names: all that may be run. */
  readonly commands: readonly string[];
  /** Its text says that it changes the network. */
  readonly changesNetwork: boolean;
}

export interface ScriptModule {
  readonly url: string;
  /** As it was written: Node takes the types out, and leaves every line and column where it was. */
  readonly source: string;
}

export interface ScriptFile {
  readonly url: string;
  readonly bytes: Uint8Array;
}

/** Where a program wants to listen. */
export interface ScriptListen {
  readonly address: string;
  readonly protocol: "tcp" | "udp";
  readonly transparent: boolean;
  /** Whose connections are turned to it; null: nobody's. */
  readonly steer: Required<SteerOptions> | null;
}

export interface ScriptGrant {
  /** Into the program's listens. */
  readonly index: number;
  /** Where it is bound in truth. */
  readonly address: string;
  readonly fdTag: number;
}

/** A file that a program writes to, opened to append. */
export interface ScriptOutput {
  readonly url: string;
  readonly fdTag: number;
}

export type ScriptToWorker =
  | {
      readonly type: "script-load";
      readonly id: number;
      readonly bundle: ScriptBundle;
      /** The authorities (PEM) that this machine trusts; null: it has none. */
      readonly systemCa: Uint8Array | null;
    }
  | {
      readonly type: "script-bind";
      readonly id: number;
      readonly grants: readonly ScriptGrant[];
      /** The map of where steered clients wanted to go; null: a script never steered anyone. */
      readonly originalsFdTag: number | null;
      readonly outputs: readonly ScriptOutput[];
    }
  | { readonly type: "script-commit"; readonly id: number }
  | { readonly type: "script-abort"; readonly id: number }
  /** A file that the program in force watches has other content now. No answer. */
  | { readonly type: "script-file"; readonly id: number; readonly file: ScriptFile }
  /** A command that was started for this worker has ended: well (null), or what went wrong. No answer. */
  | { readonly type: "script-exited"; readonly id: number; readonly run: number; readonly failure: string | null }
  /** Of the worker's own `script-kernel`, by its number. */
  | { readonly type: "script-kernel-reply"; readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly type: "script-kernel-reply"; readonly id: number; readonly ok: false; readonly error: string };

/** Answers carry the `id` of what they answer. */
export type ScriptToSupervisor =
  | {
      readonly type: "script-loaded";
      readonly id: number;
      readonly listens: readonly ScriptListen[];
      /** By `file:` URL. */
      readonly outputs: readonly string[];
    }
  | { readonly type: "script-bound"; readonly id: number }
  | { readonly type: "script-committed"; readonly id: number }
  /** With the place in the script where there is one. */
  | { readonly type: "script-refused"; readonly id: number; readonly error: string }
  /** Kernel work on the script's behalf, at any time; `id` is the worker's. */
  | { readonly type: "script-kernel"; readonly id: number; readonly request: KernelRequest }
  /** A script asks for what `penstock` on the command line does: to be read again, or to stop the gateway. */
  | { readonly type: "script-wish"; readonly wish: "reload" | "exit" };
