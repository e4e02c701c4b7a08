/**
 * What the supervisor and a worker say to each other: types only, nothing runs here.
 *
 * Two channels join them. Messages go over Node's IPC channel (descriptor 3, "advanced" serialisation, so that
 * Uint8Array travels as it is). Descriptors go over a SOCK_SEQPACKET pair (descriptor 4, `FD_CHANNEL`), each under a
 * number of its own, the *tag*; see `#sys/descriptors.ts`.
 *
 * Rules for descriptors:
 *  - the supervisor sends every descriptor a `prepare` names *before* that message, and each tag once to each worker:
 *    on `prepare` the worker reads the channel until it would block and keeps tag → descriptor;
 *  - a tag means one open file for the whole life of the worker and is never used again;
 *  - after `commit` the worker closes what no entry of the committed `prepare` names (a listener: once its queue is
 *    empty); after `abort`, what only the aborted one named. The supervisor's book-keeping follows the same rule.
 *
 * Order: `prepare` → `prepared`, then `commit` → `committed`, or `abort` (no answer). There is at most one prepared
 * state at a time; a second `prepare` before `commit` or `abort` is a bug of the supervisor.
 */
import type { ScriptToSupervisor, ScriptToWorker } from "./script/protocol.ts";
import type { Recorded, RecordingKind } from "#observe/recorder.ts";
import type { TappedExchange } from "#observe/tap.ts";
import type { PackedSnapshot } from "#snapshot/packed.ts";
import type { SnapshotPatch } from "#snapshot/patch.ts";
import type { CachedResponses } from "#pipeline/filter.ts";
import type { FigureReading } from "#pipeline/library/stats.ts";
import type { EndpointOutage } from "#upstream/outage.ts";

export type { EndpointOutage };

/** The worker's end of the descriptor channel. */
export const FD_CHANNEL = 4;

/** The memory that all workers share (shared-area.ts). */
export const FD_SHARED = 5;
export const FD_BUCKETS = 6;

export type ToWorker =
  | PrepareMessage
  | { readonly type: "commit"; readonly id: number }
  | { readonly type: "abort"; readonly id: number }
  /**
   * Stop accepting, let exchanges in flight end, at most `deadlineMs`; then answer `drained` and exit with 0. `gently`:
   * another gateway has the sockets now, and there is time: idle connections may ask once more.
   */
  | { readonly type: "drain"; readonly deadlineMs: number; readonly gently?: boolean }
  | { readonly type: "stats"; readonly id: number }
  /** Which endpoints are out, for another worker. */
  | { readonly type: "outages"; readonly id: number }
  /** Opens the tap for a moment, for a route (`tenant/name`) or all (empty). `after`: the number of the last exchange that is known. */
  | { readonly type: "tap"; readonly id: number; readonly route: string; readonly after: number }
  /** A profile of so many seconds, or a snapshot of the heap; then its parts, in order. */
  | { readonly type: "record"; readonly id: number; readonly kind: RecordingKind; readonly seconds: number }
  | { readonly type: "recorded-part"; readonly id: number; readonly part: number }
  /** Cached responses of a route are forgotten. */
  | { readonly type: "purge"; readonly id: number; readonly what: PurgeOrder }
  | { readonly type: "explain"; readonly id: number; readonly request: ExplainRequest }
  /** What the tenant's plugins have said since the line of this number. */
  /** A message of the admin API for a tenant's plugin. */
  | {
      readonly type: "tell";
      readonly id: number;
      readonly tenant: string;
      readonly plugin: string;
      readonly message: Uint8Array;
    }
  | { readonly type: "lines"; readonly id: number; readonly tenant: string; readonly after: number }
  /** Session tickets' keys, the one that seals first, when they have changed. Never logged. */
  | { readonly type: "ticket-keys"; readonly keys: readonly Uint8Array[] }
  /** A sibling, or the admin API, changed a user-space map. Never echoed. */
  | MapChangeMessage
  | ScriptToWorker;

export type ToSupervisor =
  /** First message, once the driver runs: the worker can take a `prepare`. */
  | { readonly type: "hello"; readonly pid: number; readonly driver: "io_uring" | "epoll" }
  | { readonly type: "prepared"; readonly id: number; readonly ok: true }
  | { readonly type: "prepared"; readonly id: number; readonly ok: false; readonly error: string }
  /** The snapshot of `prepare` `id` is in force. */
  | { readonly type: "committed"; readonly id: number }
  | { readonly type: "drained" }
  | { readonly type: "tap-reply"; readonly id: number; readonly exchanges: readonly TappedExchange[] }
  | { readonly type: "record-reply"; readonly id: number; readonly result: Recorded }
  | { readonly type: "recorded-part-reply"; readonly id: number; readonly bytes: Uint8Array | null }
  | { readonly type: "purge-reply"; readonly id: number; readonly purged: number }
  /** What the supervisor can't read by itself, from memory that they share (shared-area.ts). */
  | {
      readonly type: "stats-reply";
      readonly id: number;
      readonly counters: Readonly<Record<string, number>>;
      /** Of scripts. */
      readonly figures: readonly FigureReading[];
    }
  | { readonly type: "outages-reply"; readonly id: number; readonly outages: readonly EndpointOutage[] }
  | { readonly type: "explain-reply"; readonly id: number; readonly result: ExplainResult }
  | { readonly type: "told"; readonly id: number; readonly answers: readonly GuestAnswer[] }
  | { readonly type: "lines-reply"; readonly id: number; readonly lines: readonly PluginLine[] }
  | MapChangeMessage
  | ScriptToSupervisor;

/** What a guest has answered to a message. */
export interface GuestAnswer {
  readonly route: string;
  readonly version: string;
  readonly answer: Uint8Array;
}

export interface PrepareMessage {
  readonly type: "prepare";
  readonly id: number;
  /** Whole, or what is new in it for a worker that runs the one before. */
  readonly snapshot: PackedSnapshot | SnapshotPatch;
  /** Modules of `snapshot.plugins` that this worker has not been sent yet. It keeps those that the current and the prepared snapshot name. */
  readonly modules: readonly ModuleBytes[];
  readonly listeners: readonly ListenerGrant[];
  /** One for each of `snapshot.maps`, in that order. */
  readonly maps: readonly MapGrant[];
  /** Absent: no route grants key/value entries. */
  readonly tenantMemory?: TenantMemoryGrant;
  /** Values of `snapshot.secrets`, in that order: texts in UTF-8. Never logged. Absent: none. */
  readonly secrets?: readonly Uint8Array[];
  /** Absent: the snapshot has no TLS. Never logged. */
  readonly tls?: TlsMaterial;
  /** Of a worker's first snapshot: endpoints that another worker has found to be out. Absent: none. */
  readonly outages?: readonly EndpointOutage[];
  /** The kernel map of original destinations (see kernel.md); null without steering. */
  readonly originalsFdTag: number | null;
  /** The kernel maps of spliced streams (bpf/src/splice_maps.h), from the first declaration of one on; null before. */
  readonly sockmapFdTags: SockmapTags | null;
}

export interface SockmapTags {
  readonly sockets: number;
  readonly taken: number;
  readonly moved: number;
}

/** Where tenants' key/value entries are: parts of a file in memory, which workers map (gateway/worker/tenants). */
export interface TenantMemoryGrant {
  readonly fdTag: number;
  readonly regions: readonly { readonly tenant: string; readonly offset: number; readonly bytes: number }[];
}

/** What the snapshot's TLS needs beside it: secrets, and what only the supervisor can read. */
export interface TlsMaterial {
  /** Private keys (PEM), one for each of `snapshot.certificates`. */
  readonly keys: readonly Uint8Array[];
  /** The machine's certificate authorities (PEM); null: there are none, or none were needed. */
  readonly systemCa: Uint8Array | null;
  /** Of session tickets, the one that seals first. */
  readonly ticketKeys: readonly Uint8Array[];
}

export interface ModuleBytes {
  /** SHA-256 (hex), as in `PluginSpec.digest`. */
  readonly digest: string;
  readonly bytes: Uint8Array;
}

/** A listening, non-blocking socket that is this worker's alone. A transparent listener has two entries: IPv4 and IPv6. */
export interface ListenerGrant {
  /** Into `snapshot.listeners`. */
  readonly index: number;
  readonly name: string;
  /** What the socket is bound to. */
  readonly address: string;
  readonly fdTag: number;
}

export interface MapGrant {
  readonly name: string;
  /** Descriptor of the kernel map; null: the map lives in user space and every process has a copy. */
  readonly fdTag: number | null;
  /** Of a user-space map: what it holds now. Empty for kernel maps. A worker that already has the map keeps its own copy. */
  readonly entries: readonly MapEntry[];
}

export interface MapEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** One change of a user-space map. `add` carries a difference, so that counts of several workers do not overwrite each other. */
export type MapChangeMessage =
  | {
      readonly type: "map-change";
      readonly map: string;
      readonly op: "put";
      readonly key: Uint8Array;
      readonly value: Uint8Array;
    }
  | { readonly type: "map-change"; readonly map: string; readonly op: "delete"; readonly key: Uint8Array }
  | {
      readonly type: "map-change";
      readonly map: string;
      readonly op: "add";
      readonly key: Uint8Array;
      readonly delta: bigint;
    };

/** A line of a plugin's own, or about a fault of it. */
export interface PluginLine {
  /** Larger than those before, in the next life of the worker too. */
  readonly number: number;
  readonly timeMs: number;
  readonly level: string;
  readonly route: string;
  /** `token-check@1`. */
  readonly plugin: string;
  readonly message: string;
  /** Of a fault, in the module as uploaded; −1: of none, or not known. */
  readonly offset: number;
}

export interface PurgeOrder extends CachedResponses {
  readonly tenant: string;
  readonly route: string;
}

export interface ExplainRequest {
  readonly listener: string | null;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
}

export interface ExplainedFilter {
  readonly name: string;
  /** In the gateway itself, or as a guest. */
  readonly runs: "built-in" | "wasm";
}

/** What would happen to such a request. Names, for people. */
export interface ExplainResult {
  /** Null when no route matches: `reason` says what was the nearest miss. */
  readonly route: string | null;
  readonly tenant: string | null;
  /** `token-check@1`, in order. */
  readonly filters: readonly ExplainedFilter[];
  /** Upstream names with weights as `api (9)`, or `original`. */
  readonly upstreams: readonly string[];
  readonly reason: string;
}

/**
 * The builder (gateway/worker/builder.ts): one short life for one uploaded module. It says `hello`, is given one order,
 * answers it and exits. Whatever it does besides, dying included, refuses the module.
 */
export type FromBuilder =
  | { readonly type: "hello" }
  | { readonly type: "built"; readonly ok: true; readonly metered: Uint8Array; readonly facts: BuiltFacts }
  | {
      readonly type: "built";
      readonly ok: false;
      readonly code: string;
      readonly detail: string;
      /** Byte offset in the module as uploaded, where there is one. */
      readonly offset?: number;
    };

export interface BuildOrder {
  readonly type: "build";
  readonly bytes: Uint8Array;
  readonly moduleBytesMax: number;
  readonly memoryBytesMax: number;
}

export interface BuiltFacts {
  readonly abi: string;
  readonly hooks: readonly string[];
  readonly imports: readonly string[];
  readonly capabilities: readonly string[];
  readonly memoryBytesMin: number;
  /** Which rewriter made it. */
  readonly builder: string;
}
