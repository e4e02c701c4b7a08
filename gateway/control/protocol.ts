/**
 * What the supervisor and the control process say to each other: Node's IPC channel, `serialization: "advanced"`, so that
 * bytes travel as `Uint8Array`. Messages are plain data. A request carries an `id` chosen by its sender; the answer
 * repeats it. Either side may answer out of order.
 *
 * Start: the supervisor forks `gateway/control/main.ts` as
 *
 *     main.ts --data DIR --unix-fd N [--tcp-fd N] [--log-level info]
 *
 * with bound, listening sockets at descriptors N (`server.listen({ fd })`). The control process owns DIR and nothing else:
 *
 *     DIR/store.db        node:sqlite (and -wal, -shm)
 *     DIR/blobs/SHA256    plugin modules, as uploaded and as metered, named by what they contain
 *     DIR/snapshot.json   the last good snapshot; workers can boot from it and blobs/ alone (`readLastGood`)
 *     DIR/admin.token     0600, the first start's admin token
 *     DIR/admin.sock      bound by the supervisor, 0600
 *
 * Then, in this order: control → `ready`; control → `apply` of the current revision, if there is one; meanwhile the
 * supervisor may send `declare` (from `run -f`, or the embedded default when `ready.revision` is 0). Control applies one
 * thing at a time. `shutdown` makes it finish the answers under way and exit 0. When the channel closes it exits too.
 *
 * The control process is the less trusted side: it parses what the network sends. The supervisor takes from it names,
 * digests and bytes, never paths, and checks the digest of every module it reads.
 */
import type { GatewayStatus } from "./gateway-status.ts";
import type { PurgeReply, PurgeRequest } from "./purge.ts";
import type { RecordingPartReply, RecordingPartRequest, RecordingReply, RecordingRequest } from "./recording.ts";
import { join } from "node:path";
import type { TappedExchange } from "#observe/tap.ts";
import type { SnapshotChange } from "#snapshot/patch.ts";
import type { Finding } from "#core/errors.ts";

/** Where a module's bytes are. `digest` is 64 lower-case hex digits: check that before calling. */
export function moduleFile(dataDir: string, digest: string): string {
  return join(dataDir, "blobs", digest);
}

export const LAST_GOOD_FILE = "snapshot.json";

// ---------------------------------------------------------------------------------------------- control → supervisor

/** The admin sockets answer and the store is open. */
export interface ReadyMessage {
  readonly type: "ready";
  /** The revision in force in the store; 0: none yet. */
  readonly revision: number;
}

/**
 * Two phases: every worker prepares and the kernel part is prepared; when all could, all commit, else all drop it and
 * the old snapshot goes on. A worker that is not running at the moment is no refusal: it boots from this snapshot.
 */
export interface ApplyRequest {
  readonly type: "apply";
  readonly id: number;
  /** What is new, when the supervisor has the one before: the last that was applied over this channel. */
  readonly snapshot: SnapshotChange;
  /** Digests of the metered modules that the snapshot names, each once; their bytes are in `moduleFile`. */
  readonly modules: readonly string[];
}

/** Validates and meters an uploaded module in a confined, short-lived process. */
export interface BuildRequest {
  readonly type: "build";
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly limits: BuildLimits;
}

export interface BuildLimits {
  readonly moduleBytesMax: number;
  /** The most memory any route of this plugin may ask for; the module's own minimum must fit. */
  readonly memoryBytesMax: number;
  readonly timeoutMs: number;
}

/** Seals a secret so that only the supervisor can open it, now and after a restart. `context` must be said again to open it. */
export interface SealRequest {
  readonly type: "seal";
  readonly id: number;
  readonly secret: Uint8Array;
  readonly context: string;
}

export interface StatusRequest {
  readonly type: "status";
  readonly id: number;
}

/** Asks one worker what its live snapshot would do with this request, without doing it. */
export interface ExplainRequest {
  readonly type: "explain";
  readonly id: number;
  readonly request: ExplainedRequest;
}

export interface ExplainedRequest {
  readonly method: string;
  /** Absolute: the authority is the Host field and, unless `listener` says otherwise, any listener will do. */
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly listener?: string;
}

/**
 * One operation on a shared map of the live snapshot. Keys and values are the map's own bytes (`MapSpec.key`, `.value`),
 * already encoded by control.
 */
export interface MapRequest {
  readonly type: "map";
  readonly id: number;
  readonly map: string;
  readonly op:
    | { readonly kind: "get"; readonly key: Uint8Array }
    | { readonly kind: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
    | { readonly kind: "delete"; readonly key: Uint8Array }
    /** Entries after `after` (exclusive; from the start when absent), at most `limit`, in the map's own order. */
    | { readonly kind: "list"; readonly after?: Uint8Array; readonly limit: number };
}

/** What a tenant's plugins have said. */
export interface LinesRequest {
  readonly type: "lines";
  readonly id: number;
  readonly tenant: string;
  /** By worker: the number of the last line that is known. */
  readonly after: Readonly<Record<number, number>>;
}

/** Live exchanges of a route (`tenant/name`), or (empty) of all. */
export interface TapRequest {
  readonly type: "tap";
  readonly id: number;
  readonly route: string;
  /** By worker: the number of the last one that is known. */
  readonly after: Readonly<Record<number, number>>;
}

/** A message for a tenant's plugin: every guest of it hears it, in all workers. */
export interface TellRequest {
  readonly type: "tell";
  readonly id: number;
  readonly tenant: string;
  readonly plugin: string;
  readonly message: Uint8Array;
}

/** A tenant's key/value entries, as operators and the tenant see them. */
export interface EntriesRequest {
  readonly type: "entries";
  readonly id: number;
  readonly tenant: string;
  /** `list`: at most `limit`, in no order. */
  readonly op: { readonly kind: "list"; readonly limit: number } | { readonly kind: "clear" };
}

/** The largest entries of a device's packet counter. */
export interface CountersRequest {
  readonly type: "counters";
  readonly id: number;
  readonly device: string;
  readonly limit: number;
  readonly sort: "packets" | "bytes";
}

/** Events of traced connections behind one of them. */
export interface TraceRequest {
  readonly type: "trace";
  readonly id: number;
  /** −1: from now on. */
  readonly after: number;
  readonly limit: number;
}

/**
 * What a health check of an L4 service found out. The checks run in control, which may read what a network answers; a
 * verdict that names nobody, or is no news, changes nothing.
 */
export interface HealthMessage {
  readonly type: "health";
  /** By name. */
  readonly service: string;
  /** `10.0.0.1:53`, `[fd00::1]:53` */
  readonly endpoint: string;
  readonly healthy: boolean;
}

/** Answer to `declare`. */
export interface DeclaredReply {
  readonly type: "declared";
  readonly id: number;
  readonly ok: boolean;
  /** The revision in force afterwards; 0: none. */
  readonly revision: number;
  /** False when the declaration equals what is in force already. */
  readonly changed: boolean;
  /** Why not, in one line, when not ok. */
  readonly error?: string;
  readonly code?: string;
  readonly findings?: readonly Finding[];
}

export type ControlToSupervisor =
  | ReadyMessage
  | ApplyRequest
  | BuildRequest
  | SealRequest
  | StatusRequest
  | ExplainRequest
  | MapRequest
  | CountersRequest
  | LinesRequest
  | EntriesRequest
  | TapRequest
  | TellRequest
  | PurgeRequest
  | TraceRequest
  | RecordingRequest
  | RecordingPartRequest
  | HealthMessage
  | DeclaredReply;

// ---------------------------------------------------------------------------------------------- supervisor → control

export interface AppliedReply {
  readonly type: "applied";
  readonly id: number;
  /** True: every worker and the kernel part run it. False: nothing changed anywhere. */
  readonly ok: boolean;
  readonly results: readonly WorkerResult[];
  readonly kernel?: KernelResult;
  /** What the supervisor itself could not do, and for what: a JSON pointer, as lists are in the declaration's order. */
  readonly refusal?: { readonly pointer: string; readonly error: string };
}

export interface WorkerResult {
  readonly worker: number;
  readonly ok: boolean;
  readonly error?: string;
}

export interface KernelResult {
  readonly ok: boolean;
  readonly error?: string;
  /** What is asked for but runs in user space or not at all here, and why: not a refusal. */
  readonly notes?: readonly string[];
}

export interface BuiltReply {
  readonly type: "built";
  readonly id: number;
  readonly result:
    | {
        readonly ok: true;
        /** The module to instantiate. */
        readonly metered: Uint8Array;
        /** What the module is, for people: hooks, imports, memory. */
        readonly facts: ModuleFacts;
      }
    | {
        readonly ok: false;
        /** Stable code, from the registry. */
        readonly code: string;
        readonly detail: string;
        /** Byte offset in the module as uploaded, where there is one; `detail` says it too. */
        readonly offset?: number;
      };
}

export interface ModuleFacts {
  /** `penstock`, the core ABI. */
  readonly abi: string;
  readonly hooks: readonly string[];
  readonly imports: readonly string[];
  /** What a route has to allow for its host calls to be of use; absent: an earlier builder did not say. */
  readonly capabilities?: readonly string[] | undefined;
  readonly memoryBytesMin: number;
  /** Which rewriter made it, so that a later one can tell which modules to build again. */
  readonly builder: string;
}

export interface SealedReply {
  readonly type: "sealed";
  readonly id: number;
  readonly sealed: string;
  /** Keyed digest of the secret in its context. */
  readonly fingerprint: string;
}

export interface StatusReply {
  readonly type: "status-reply";
  readonly id: number;
  readonly status: GatewayStatus;
}

export interface ExplainReply {
  readonly type: "explain-reply";
  readonly id: number;
  readonly result:
    | { readonly ok: true; readonly explanation: Explanation }
    | { readonly ok: false; readonly detail: string };
}

export interface Explanation {
  readonly revision: number;
  readonly listener: string;
  /** The route that takes the request; null: none does, and the gateway answers 404 itself. */
  readonly route: { readonly tenant: string; readonly name: string } | null;
  /** `token-check@1`, in order. */
  readonly filters: readonly { readonly name: string; readonly runs: "built-in" | "wasm" }[];
  /** What in the kernel comes before, a line each. */
  readonly kernel: readonly string[];
  /** `upstream api 127.0.0.1:9001`, `original destination`, `local reply 404`. */
  readonly action: string;
  /** Why this one: what of the match decided, one line each. */
  readonly reasons: readonly string[];
}

export interface MapReply {
  readonly type: "map-reply";
  readonly id: number;
  readonly result:
    /** `entries` answers `get` (none or one) and `list`. `deleted` answers `delete`. */
    | {
        readonly ok: true;
        readonly entries?: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[];
        readonly deleted?: boolean;
        /** `list`: there is more after the last entry. */
        readonly more?: boolean;
      }
    | { readonly ok: false; readonly code: "no-map" | "full" | "failed"; readonly detail: string };
}

export interface TapReply {
  readonly type: "tap-reply";
  readonly id: number;
  readonly workers: readonly { readonly worker: number; readonly exchanges: readonly TappedExchange[] }[];
}

export interface LinesReply {
  readonly type: "lines-reply";
  readonly id: number;
  readonly workers: readonly {
    readonly worker: number;
    readonly lines: readonly {
      readonly number: number;
      readonly timeMs: number;
      readonly level: string;
      readonly route: string;
      readonly plugin: string;
      readonly message: string;
      /** Of a fault, in the module; −1: there is none. */
      readonly offset: number;
    }[];
  }[];
}

export interface ToldReply {
  readonly type: "told";
  readonly id: number;
  readonly answers: readonly PluginAnswer[];
}

/** What one route's guest in one worker has answered. */
export interface PluginAnswer {
  readonly worker: number;
  readonly route: string;
  readonly version: string;
  readonly answer: Uint8Array;
}

export interface EntriesReply {
  readonly type: "entries-reply";
  readonly id: number;
  readonly result:
    | {
        readonly ok: true;
        /** Of the quota; 0 where no route grants entries. */
        readonly usedBytes: number;
        readonly count: number;
        readonly entries: readonly {
          readonly key: Uint8Array;
          readonly value: Uint8Array;
          readonly version: number;
          /** 0: for good. */
          readonly leftMs: number;
        }[];
      }
    /** Someone else holds the store for too long. */
    | { readonly ok: false; readonly detail: string };
}

export interface CountersReply {
  readonly type: "counters-reply";
  readonly id: number;
  readonly result:
    | ({ readonly ok: true } & PacketCounters)
    /** Nothing counts on this device, or nothing is in the kernel. */
    | { readonly ok: false; readonly detail: string };
}

export interface TraceReply {
  readonly type: "trace-reply";
  readonly id: number;
  readonly result:
    | { readonly ok: true; readonly events: readonly KernelEvent[]; readonly next: number }
    | { readonly ok: false; readonly detail: string };
}

/** Something that happened to a traced connection. `seq` grows by one; a gap means that there were too many. */
export interface KernelEvent {
  readonly seq: number;
  readonly timeMs: number;
  readonly listener: string;
  readonly kind: string;
  readonly local: string;
  readonly remote: string;
  /** States, of `state`. */
  readonly from?: string;
  readonly to?: string;
  /** Microseconds: of a slow response, else the round trip. */
  readonly us?: number;
}

export interface PacketCounters {
  readonly by: "source" | "port";
  /** Most first. `of`: `203.0.113.0/24`, or `443/tcp`. */
  readonly entries: readonly { readonly of: string; readonly packets: number; readonly bytes: number }[];
  /** What has no entry of its own: `notIp`, `noRoom`, `noPort`. */
  readonly other: Readonly<Record<string, { readonly packets: number; readonly bytes: number }>>;
}

/** A declaration from outside the API: `run -f FILE`, or the embedded default. Becomes a revision when it differs. */
export interface DeclareRequest {
  readonly type: "declare";
  readonly id: number;
  readonly author: string;
  readonly sources: readonly { readonly file: string; readonly text: string }[];
  /** What references in the sources (`config/variables.ts`) stand for, by `variableKey`. Absent: for nothing. */
  readonly variables?: Readonly<Record<string, string>>;
  /** The files that `plugins[].file` name, relative to the declaring file's folder, exactly as written there. */
  readonly modules: readonly { readonly file: string; readonly bytes: Uint8Array }[];
}

/** The key of a reference of a file in `DeclareRequest.variables`. */
export function variableKey(file: string, reference: string): string {
  return `${file}\n${reference}`;
}

export interface ShutdownMessage {
  readonly type: "shutdown";
}

/** The answer to a request of control's, by its `id`. */
export type Reply =
  | AppliedReply
  | BuiltReply
  | SealedReply
  | StatusReply
  | ExplainReply
  | MapReply
  | CountersReply
  | LinesReply
  | EntriesReply
  | TapReply
  | ToldReply
  | PurgeReply
  | TraceReply
  | RecordingReply
  | RecordingPartReply;

export type SupervisorToControl = Reply | DeclareRequest | ShutdownMessage;
