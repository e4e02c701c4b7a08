/** Steps that speak HTTP. */
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import { DemuxHttp, type DemuxLimits } from "#pipeline/http/demux.ts";
import { MuxHttp, type KeyOf } from "#pipeline/http/mux.ts";
import { MuxPool, type MuxLimits } from "#pipeline/http/mux-pool.ts";
import { EventSteps } from "./event-steps.ts";
import type { Joint } from "./steps.ts";

const DEMUX_LIMITS: DemuxLimits = {
  ...DEFAULT_HEAD_LIMITS,
  headTimeoutMs: 10_000,
  bodyTimeoutMs: 30_000,
  idleTimeoutMs: 60_000,
};

const MUX_LIMITS: MuxLimits = {
  sessionsMax: 1024,
  queueMax: 1024,
  idleMax: 256,
  idleTimeoutMs: 30_000,
  messagesMax: Number.POSITIVE_INFINITY,
  responseTimeoutMs: 60_000,
};

export abstract class HttpSteps<C extends object> extends EventSteps<C> {
  /**
   * Reads requests from a connection and gives each to an instance of the sub-pipeline, whose context begins as a copy; what
   * that answers goes back, in order. Malformed input is answered and the connection closed; an instance that ends without
   * an answer is answered for: 404 for NO_TARGET, 500 when the script failed, 502 and 504 for its targets.
   */
  demuxHTTP(options: Partial<DemuxLimits> = {}): Joint<this, C> {
    const limits = { ...DEMUX_LIMITS, ...options };
    return this.joint("demuxHTTP", (pipeline) => (scope) => new DemuxHttp(scope, pipeline, limits));
  }

  /**
   * Sends requests over sessions, instances of the sub-pipeline that requests with an equal key share, one at a time each.
   * Without a key every client's connection has sessions of its own; a key of undefined is nowhere to go (404).
   */
  muxHTTP(key: KeyOf<C> = ownSessions, options: Partial<MuxLimits> = {}): Joint<this, C> {
    const limits = { ...MUX_LIMITS, ...options };
    return this.joint("muxHTTP", (pipeline) => {
      const pool = new MuxPool(pipeline, limits);
      return (scope) => new MuxHttp(scope, pool, key);
    });
  }
}

/** Keys are compared by value: a number for each connection. */
const numbers = new WeakMap<object, number>();
let last = 0;

function ownSessions({ inbound }: { readonly inbound: object }): number {
  let number = numbers.get(inbound);
  if (number === undefined) numbers.set(inbound, (number = ++last));
  return number;
}
