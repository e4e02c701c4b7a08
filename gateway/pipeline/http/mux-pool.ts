/**
 * The sessions of one `muxHTTP` step in one worker, by key. A session is an instance of the step's pipeline, mostly one
 * connection; it is used by one request at a time, then kept for the next with an equal key. Keys are compared by value:
 * text and numbers as they are, objects by what is in them, so that a fresh object is no fresh connection.
 */
import type { Context } from "#pipeline/layout/context.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Runtime } from "#pipeline/runtime.ts";
import { MuxSession } from "./mux-session.ts";

export interface MuxLimits {
  /** Sessions of one key at a time; requests beyond wait. */
  readonly sessionsMax: number;
  /** Requests of one key that may wait. */
  readonly queueMax: number;
  /** Idle sessions of one key that are kept. */
  readonly idleMax: number;
  readonly idleTimeoutMs: number;
  /** Requests over one session. */
  readonly messagesMax: number;
  /** From the request's last byte, or the response's latest, to the next one of the response. */
  readonly responseTimeoutMs: number;
}

/** A request that waits for a session. */
export interface Waiting<C extends object> {
  readonly context: Context<C>;
  admitted(session: MuxSession<C>): void;
}

interface Shelf<C extends object> {
  readonly idle: MuxSession<C>[];
  open: number;
  readonly waiting: Waiting<C>[];
}

export class MuxPool<C extends object> {
  readonly pipeline: Pipeline<C>;
  readonly limits: MuxLimits;
  readonly #shelves = new Map<unknown, Shelf<C>>();

  constructor(pipeline: Pipeline<C>, limits: MuxLimits) {
    this.pipeline = pipeline;
    this.limits = limits;
  }

  /** Sessions of all keys, idle or not. */
  get sessions(): number {
    let sum = 0;
    for (const shelf of this.#shelves.values()) sum += shelf.open;
    return sum;
  }

  /**
   * An idle session, or a new one; null when the request has to wait, undefined when it can't. One that became idle in this
   * turn of the loop is not taken: bytes that nobody has asked for may be on their way up. `fresh`: only a new one will do.
   */
  take(key: unknown, waiting: Waiting<C>, runtime: Runtime, fresh: boolean): MuxSession<C> | null | undefined {
    const shelf = this.#shelf(key);
    const { turns } = runtime.loop;
    const last = shelf.idle.length - 1;
    for (let i = last; i >= 0 && !fresh; i--) {
      const one = shelf.idle[i] as MuxSession<C>;
      if (one.idleTurn === turns) continue;
      shelf.idle.splice(i, 1);
      return one;
    }
    if (shelf.open < this.limits.sessionsMax) return this.#open(key, shelf, waiting.context, runtime);
    if (shelf.waiting.length >= this.limits.queueMax) return undefined;
    shelf.waiting.push(waiting);
    return null;
  }

  /** The request is not waited for any more. */
  forget(key: unknown, waiting: Waiting<C>): void {
    const shelf = this.#shelves.get(key);
    const at = shelf?.waiting.indexOf(waiting) ?? -1;
    if (at >= 0) shelf?.waiting.splice(at, 1);
  }

  /** It has served a request and can serve another. */
  put(session: MuxSession<C>): void {
    const shelf = this.#shelf(session.key);
    const next = shelf.waiting.shift();
    if (next !== undefined) {
      next.admitted(session);
      return;
    }
    shelf.idle.push(session);
    if (shelf.idle.length > this.limits.idleMax) shelf.idle.shift()?.close();
  }

  /** It is no more. */
  closed(session: MuxSession<C>): void {
    const shelf = this.#shelves.get(session.key);
    if (shelf === undefined) return;
    const at = shelf.idle.indexOf(session);
    if (at >= 0) shelf.idle.splice(at, 1);
    shelf.open--;
    const next = shelf.waiting.shift();
    if (next !== undefined) next.admitted(this.#open(session.key, shelf, next.context, session.runtime));
    else if (shelf.open === 0) this.#shelves.delete(session.key);
  }

  #open(key: unknown, shelf: Shelf<C>, context: Context<C>, runtime: Runtime): MuxSession<C> {
    shelf.open++;
    return new MuxSession(this, key, context, runtime);
  }

  #shelf(key: unknown): Shelf<C> {
    let shelf = this.#shelves.get(key);
    if (shelf === undefined) this.#shelves.set(key, (shelf = { idle: [], open: 0, waiting: [] }));
    return shelf;
  }
}

/** What tells sessions apart. */
export function valueKey(key: unknown): unknown {
  return typeof key === "object" && key !== null ? JSON.stringify(key) : key;
}
