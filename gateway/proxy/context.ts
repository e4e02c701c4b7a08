/** What all connections of one worker share, and what those of one listener share. Made once; the engine in force changes. */
import type { HttpDate } from "#http/date.ts";
import type { Scratch } from "#http/head.ts";
import type { Buffers } from "#io/buffers.ts";
import { BUFFER_BYTES } from "#io/buffers.ts";
import type { Loop } from "#io/loop.ts";
import type { Peer } from "#net/listener.ts";
import type { WriteGather } from "#net/gather.ts";
import type { TlsRecords } from "#net/tls/records.ts";
import type { AccessLog } from "#observe/access-log.ts";
import type { Endpoints } from "#upstream/endpoints.ts";
import type { Counters } from "#observe/counters.ts";
import type { HeadPool } from "#pipeline/http/head-pool.ts";
import type { Tap } from "#observe/tap.ts";
import type { Meter, Meters } from "#observe/meters.ts";
import type { StreamCounters } from "#observe/stream-counters.ts";
import type { ClientConnections } from "./client-connections.ts";
import type { Engine } from "./engine.ts";
import type { Sockmap } from "./stream/sockmap.ts";

export interface WorkerContext {
  readonly loop: Loop;
  readonly buffers: Buffers;
  readonly gather: WriteGather;
  readonly scratch: Scratch;
  /** Sections for trailers that are kept or made. */
  readonly trailers: HeadPool;
  /** Of replies that are made here. */
  readonly date: HttpDate;
  readonly endpoints: Endpoints;
  readonly clients: ClientConnections;
  readonly counters: Counters;
  readonly meters: Meters;
  readonly streams: StreamCounters;
  readonly accessLog: AccessLog;
  readonly tap: Tap;
  readonly tls: TlsRecords;
  /** A line for the operator about what clients or endpoints do; at most a few in a second. */
  log(line: string): void;
  /** One buffer for bytes that must stand in `memory` for the length of a call. */
  readonly workspace: Workspace;
  /** Where a steered connection wanted to go, as `address:port`; null when it was not steered. */
  originalOf(peer: Peer, fd: number, protocol?: "tcp" | "udp"): string | null;
  /**
   * Whether a steered client's datagrams go on to where its session goes: `destination`, a struct sockaddr, null for none.
   * Its own sockaddr is in `memory` at `at`. Another socket may have its port by now.
   */
  leadsTo(memory: Uint8Array, at: number, destination: Uint8Array | null): boolean;
  /** Moves bytes of relays in the kernel; null: there is none, or nobody asked for it. */
  sockmap(): Sockmap | null;
  /** The clients' addresses that are refused here because no kernel program does it. */
  banned(peer: Pick<Peer, "ipBytes">): boolean;
}

export interface Workspace {
  readonly start: number;
  readonly end: number;
}

export function createWorkspace(buffers: Buffers): Workspace {
  const buffer = buffers.allocate();
  return { start: buffer * BUFFER_BYTES, end: (buffer + 1) * BUFFER_BYTES };
}

/** One listener. `engine` is replaced between two turns when a snapshot is put into force. */
export interface ListenerContext {
  readonly worker: WorkerContext;
  /** Index in the snapshot in force. */
  index: number;
  name: string;
  transparent: boolean;
  engine: Engine;
  /** Of the listener's name. */
  meter: Meter;
  /** Open connections: each can end when it is idle. */
  readonly connections: Set<Drainable>;
  /** Accepts no more: a connection that comes all the same is closed behind its first answer. */
  draining: boolean;
  /** The last of them has closed. */
  emptied: () => void;
}

/** Whether clients of an address (16 bytes, IPv4 mapped) are let in no more. */
export type Banned = (ipBytes: Uint8Array) => boolean;

export interface Drainable {
  /**
   * The worker, or the listener, is leaving: close when idle, else after the response under way. `gently`: when idle, only
   * after one more response, or when the time for that is up.
   */
  drain(gently: boolean): void;
  /** Ends at once, whatever is under way, when its client is one of the `banned`. */
  expel(banned: Banned): void;
}
