/**
 * What the built-in filters have in common. One is made for each route position and worker and shared by all exchanges,
 * so that letting a request pass allocates nothing; what has to be remembered of one exchange is a small integer in
 * `exchange.state`.
 */
import {
  CONTINUE,
  type Exchange,
  type FetchRequest,
  type FetchResponse,
  type Filter,
  type SharedMap,
  type Verdict,
} from "#pipeline/filter.ts";
import type { BucketTable } from "./bucket-table.ts";

export abstract class BuiltinFilter implements Filter {
  readonly name: string;
  readonly hooks: number;

  constructor(name: string, hooks: number) {
    this.name = name;
    this.hooks = hooks;
  }

  requestHead(_exchange: Exchange, _position: number): Verdict {
    return CONTINUE;
  }

  responseHead(_exchange: Exchange, _position: number): Verdict {
    return CONTINUE;
  }

  end(_exchange: Exchange, _position: number): void {}

  dispose(): void {}

  counters(): Readonly<Record<string, number>> {
    return {};
  }
}

/** The directories that the gateway was given when it was started. */
export interface FileServices {
  /** A descriptor that stays open. Throws PENSTOCK_FILTER_DIRECTORY. */
  directory(name: string): number;
  /** Opens a path that nothing leads out of the directory: a descriptor that is the caller's, or −errno. */
  open(directory: number, path: string): number;
  /** Bytes of the page cache at `position`; 0 at the end, negative where somebody would have to wait. */
  readCached(fd: number, target: Uint8Array, position: number): number;
}

/** What the worker lends to them. */
export interface BuiltinServices {
  /** Milliseconds that only grow, as of the start of this turn. */
  nowMs(): number;
  /** Milliseconds since the epoch, as of the start of this turn. */
  wallMs(): number;
  /** Milliseconds that only grow, the same for all workers, as of the start of this turn. */
  sharedMs(): number;
  /** Token buckets, shared with all workers. */
  readonly limits: BucketTable;
  /** A map of the snapshot in force. */
  map(name: string): SharedMap;
  /** A small request to an upstream, by its name in the snapshot. Never rejects. */
  fetch(upstream: string, request: FetchRequest): Promise<FetchResponse>;
  log(level: "debug" | "info" | "warn" | "error", filter: string, message: string): void;
  readonly files: FileServices;
}
