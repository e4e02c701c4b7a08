/**
 * One instance of a plugin. Idle, or running one hook for one exchange; when it is ended (`fail`) it is never used
 * again: its fuel is taken, so that its code stops at the next function or loop, and every host call refuses. A guest is
 * never stopped by an exception of ours.
 *
 * Owns its memory, through the engine. `bytes` is a view of it, made again when the memory has grown.
 */
import type { Exchange, FetchResponse } from "#pipeline/filter.ts";
import type { Head } from "#http/head.ts";
import { HEAD_REQUEST, HEAD_RESPONSE } from "#sdk/types/abi.ts";
import type { GuestEnvironment } from "./environment.ts";
import type { GuestHooks, GuestMeter, GuestParts } from "./hooks.ts";
import { PHASE_DEAD, PHASE_IDLE, PHASE_REQUEST, PHASE_RESPONSE, PHASES_HEADS } from "./phases.ts";

export interface PendingReply {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export type Pair = readonly [string, string];

export class Guest {
  readonly environment: GuestEnvironment;
  exchange: Exchange | null;
  phase: number;
  /** Why the host ended it, when the host did. */
  failure: string | null;
  /** It waited longer than its deadline. */
  expired: boolean;
  pendingReply: PendingReply | null;
  replyHeaders: Pair[];
  fetchHeaders: Pair[];
  fetched: FetchResponse | null;
  /** `nowMs` at the start of the hook. */
  startedMs: number;
  /** What it last logged: tells why it refused its configuration. */
  lastLog: string;
  /** Called when the deadline passes while it is suspended. */
  onDeadline: (() => void) | null;
  /** Set by an interposer that records: called after each write of a host call into the memory. */
  onWrite: ((pointer: number, length: number) => void) | null;
  /** Fuel of one hook. */
  readonly fuelLimit: number;
  #bytes: Uint8Array;
  #parts: GuestParts | null;
  // Taken out of the exports, since every request calls them.
  #refuel: (fuel: number) => void;
  #fuel: () => number;

  constructor(environment: GuestEnvironment) {
    this.environment = environment;
    this.exchange = null;
    this.phase = PHASE_IDLE;
    this.failure = null;
    this.expired = false;
    this.pendingReply = null;
    this.replyHeaders = [];
    this.fetchHeaders = [];
    this.fetched = null;
    this.startedMs = 0;
    this.lastLog = "";
    this.onDeadline = null;
    this.onWrite = null;
    this.fuelLimit = environment.spec.limits.fuel;
    this.#bytes = new Uint8Array();
    this.#parts = null;
    this.#refuel = () => undefined;
    this.#fuel = () => 0;
  }

  /** Host calls are bound before the instance is there, so it is handed over afterwards, once. */
  adopt(parts: GuestParts): void {
    this.#parts = parts;
    this.#refuel = parts.meter.refuel;
    this.#fuel = parts.meter.fuel;
  }

  /** What is left; −1 when it was used up, or taken. */
  fuelLeft(): number {
    return this.#fuel();
  }

  /** What the hook that just ended has used. */
  fuelUsed(): number {
    return this.fuelLimit - this.#fuel();
  }

  get hooks(): GuestHooks {
    return (this.#parts as GuestParts).hooks;
  }

  get meter(): GuestMeter {
    return (this.#parts as GuestParts).meter;
  }

  /** The guest's memory as it is now. Don't keep it over a call of the guest: growth detaches it. */
  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.meter.memory.buffer);
    return this.#bytes;
  }

  /** A host call has put bytes into the memory: told to whoever records what host calls do. */
  wrote(pointer: number, length: number): void {
    if (this.onWrite !== null) this.onWrite(pointer, length);
  }

  /** True when a host call may be made now. Otherwise the guest is ended. */
  may(phases: number, call: string): boolean {
    if ((this.phase & phases) !== 0) return true;
    if (this.phase !== PHASE_DEAD) this.fail(`${call} at a time when it can't be called`);
    return false;
  }

  /** The head that a host call reads, or null: then the guest has been ended. */
  head(which: number): Head | null {
    const { exchange } = this;
    if (exchange !== null) {
      if (which === HEAD_REQUEST && (this.phase & PHASES_HEADS) !== 0) return exchange.request;
      if (which === HEAD_RESPONSE && this.phase === PHASE_RESPONSE) return exchange.response;
    }
    this.fail(`head ${which} at a time when there is none`);
    return null;
  }

  /** The head that can still be changed: the request's on its way in, the response's on its way out. */
  editableHead(which: number): Head | null {
    const { exchange } = this;
    if (exchange !== null) {
      if (which === HEAD_REQUEST && this.phase === PHASE_REQUEST) return exchange.request;
      if (which === HEAD_RESPONSE && this.phase === PHASE_RESPONSE) return exchange.response;
    }
    this.fail(`an edit of head ${which} at a time when it can't be changed`);
    return null;
  }

  /** Takes fuel for work that the host does; what is missing stops the guest when it goes on. */
  charge(units: number): void {
    const left = this.#fuel() - units;
    this.#refuel(left < 0 ? -1 : left);
  }

  /** Ends the guest. Answers −1, for host calls to hand on. */
  fail(reason: string): -1 {
    if (this.phase === PHASE_DEAD) return -1;
    this.failure = reason;
    this.phase = PHASE_DEAD;
    this.exchange = null;
    this.#refuel(-1);
    return -1;
  }

  begin(exchange: Exchange | null, phase: number): void {
    this.exchange = exchange;
    this.phase = phase;
    this.#refuel(this.fuelLimit);
  }

  /** Back to idle after a hook that went well. */
  finish(): void {
    this.exchange = null;
    this.phase = PHASE_IDLE;
    if (this.replyHeaders.length > 0) this.replyHeaders = [];
    if (this.fetchHeaders.length > 0) this.fetchHeaders = [];
    this.pendingReply = null;
    this.fetched = null;
  }
}
