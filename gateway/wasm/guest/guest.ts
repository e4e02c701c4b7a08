/**
 * One instance of a plugin. Idle, or running one hook for one exchange; when it is ended (`fail`) it is never used
 * again: its fuel is taken, so that its code stops at the next function or loop, and every host call refuses. A guest is
 * never stopped by an exception of ours.
 *
 * Owns its memory, through the engine. `bytes` is a view of it, made again when the memory has grown.
 */
import { CALLS_A_SAMPLE, type Exchange, type FetchResponse } from "#pipeline/filter.ts";
import { Head } from "#http/head.ts";
import type { Trailing } from "#pipeline/body.ts";
import type { RawConnection } from "#pipeline/connection.ts";
import type { OpeningStream, StreamEnd } from "#pipeline/stream-filter.ts";
import { HEAD_REQUEST, HEAD_REQUEST_TRAILERS, HEAD_RESPONSE, HEAD_RESPONSE_TRAILERS } from "#sdk/types/abi.ts";
import type { ByteWindow } from "./byte-window.ts";
import type { GuestEnvironment } from "./environment.ts";
import type { GuestHooks, GuestMeter, GuestParts } from "./hooks.ts";
import { type Kept, recordOf } from "./kept.ts";
import {
  PHASE_DEAD,
  PHASE_IDLE,
  PHASE_REQUEST,
  PHASE_REQUEST_BODY,
  PHASE_REQUEST_END,
  PHASE_RESPONSE,
  PHASE_RESPONSE_BODY,
  PHASE_RESPONSE_END,
  PHASES_REQUEST_HEAD,
} from "./phases.ts";

/** In the place of trailers that are not there, or can't be: nothing is in it, and nothing can be put there. */
export const NO_FIELDS: Head = new Head({
  memory: new Uint8Array(0),
  regionBytes: 0,
  allocate: () => -1,
  free: () => undefined,
});

export interface PendingReply {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export type Pair = readonly [string, string];

/** A larger memory takes longer to copy than another guest to make. */
const IMAGE_BYTES_MAX = 16 * 65_536;

export class Guest {
  readonly environment: GuestEnvironment;
  exchange: Exchange | null;
  phase: number;
  /** The filter's place in the exchange's chain. */
  position: number;
  /** A stream that the hook is about. */
  stream: (OpeningStream & Kept) | null;
  /** How it has ended. */
  streamEnd: StreamEnd | null;
  /** Bytes at hand. */
  window: ByteWindow | null;
  /** Of the body that is over: what goes behind it. */
  trailing: Trailing | null;
  /** The body of the head at hand is not wanted. */
  skipsBody: boolean;
  /** Of `on_message`: what it is about, and what it answers. */
  message: Uint8Array | null;
  answer: Uint8Array | null;
  /** Asked for in `on_configure`; 0: never. */
  tickMs: number;
  /** Of this hook; a number is an index. */
  connections: (RawConnection | null)[];
  /** Of the entry found last; 0: none. */
  keyValueVersion: number;
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
  /** `performance.now()` at its start, of a hook that is measured; else 0. */
  begunMs: number;
  /** What it last logged: tells why it refused its configuration. */
  lastLog: string;
  /** Called when the deadline passes while it is suspended. */
  onDeadline: (() => void) | null;
  /** Called when it is ended while it is suspended. */
  onEnded: (() => void) | null;
  /** Set by an interposer that records: called after each write of the host into the memory. */
  onWrite: ((pointer: number, length: number) => void) | null;
  /** Fuel of one hook. */
  readonly fuelLimit: number;
  /** Hooks that it has begun. */
  #begun: number;
  #bytes: Uint8Array;
  #image: Uint8Array | null;
  #view: DataView;
  #parts: GuestParts | null;
  // Taken out of the exports, since every request calls them.
  #refuel: (fuel: number) => void;
  #fuel: () => number;

  constructor(environment: GuestEnvironment) {
    this.environment = environment;
    this.exchange = null;
    this.phase = PHASE_IDLE;
    this.position = 0;
    this.stream = null;
    this.streamEnd = null;
    this.window = null;
    this.trailing = null;
    this.skipsBody = false;
    this.message = null;
    this.answer = null;
    this.tickMs = 0;
    this.connections = [];
    this.keyValueVersion = 0;
    this.failure = null;
    this.expired = false;
    this.pendingReply = null;
    this.replyHeaders = [];
    this.fetchHeaders = [];
    this.fetched = null;
    this.startedMs = 0;
    this.begunMs = 0;
    this.lastLog = "";
    this.onDeadline = null;
    this.onEnded = null;
    this.onWrite = null;
    this.fuelLimit = environment.spec.limits.fuel;
    this.#begun = 0;
    this.#bytes = new Uint8Array();
    this.#image = null;
    this.#view = new DataView(this.#bytes.buffer);
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

  /** The same, for words. */
  get view(): DataView {
    const { buffer } = this.bytes;
    if (this.#view.buffer !== buffer) this.#view = new DataView(buffer);
    return this.#view;
  }

  /** The host has put bytes into the memory: told to whoever records. */
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
      if (which === HEAD_REQUEST && (this.phase & PHASES_REQUEST_HEAD) !== 0) return exchange.request;
      if (which === HEAD_RESPONSE && this.responseIsOpen) return exchange.response;
      if (this.#atTrailers(which)) return this.trailing?.trailers ?? NO_FIELDS;
    }
    this.fail(`head ${which} at a time when there is none`);
    return null;
  }

  /** The response's head is at hand: in its own hook, and in those of its body while it waits. */
  get responseIsOpen(): boolean {
    return this.phase === PHASE_RESPONSE || (this.phase === PHASE_RESPONSE_BODY && this.window?.headWaits === true);
  }

  /** The same of the request, for changes: read it can be at any time. */
  get requestIsOpen(): boolean {
    return this.phase === PHASE_REQUEST || (this.phase === PHASE_REQUEST_BODY && this.window?.headWaits === true);
  }

  /**
   * The head that can still be changed: the request's on its way in, the response's on its way out, trailers, which are made
   * where there are none unless it is only to take some away.
   */
  editableHead(which: number, makesTrailers = true): Head | null {
    const { exchange } = this;
    if (exchange !== null) {
      if (which === HEAD_REQUEST && this.requestIsOpen) return exchange.request;
      if (which === HEAD_RESPONSE && this.responseIsOpen) return exchange.response;
      if (this.#atTrailers(which)) {
        const { trailing } = this;
        return (makesTrailers ? trailing?.makeTrailers() : trailing?.trailers) ?? NO_FIELDS;
      }
    }
    this.fail(`an edit of head ${which} at a time when it can't be changed`);
    return null;
  }

  #atTrailers(which: number): boolean {
    if (which === HEAD_REQUEST_TRAILERS) return this.phase === PHASE_REQUEST_END;
    return which === HEAD_RESPONSE_TRAILERS && this.phase === PHASE_RESPONSE_END;
  }

  /** What the plugin keeps of the exchange, or the stream, at hand; null where there is none. */
  get kept(): Kept | null {
    if (this.stream !== null) return this.stream;
    return this.exchange === null ? null : recordOf(this.exchange, this.position);
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
    this.stream = null;
    this.window = null;
    this.trailing = null;
    this.#closeConnections();
    this.#refuel(-1);
    this.onEnded?.();
    return -1;
  }

  begin(exchange: Exchange | null, phase: number): void {
    this.exchange = exchange;
    this.phase = phase;
    this.begunMs = (++this.#begun & (CALLS_A_SAMPLE - 1)) === 0 ? performance.now() : 0;
    this.#refuel(this.fuelLimit);
  }

  /** Keeps what it is now, to be put back after each hook. */
  remember(): void {
    const { globals } = this.meter;
    if (globals === null || this.bytes.length > IMAGE_BYTES_MAX) return;
    globals.save();
    this.#image = this.bytes.slice();
  }

  /** As it was when it was told to remember: about 2.6 µs a page. False: it can't be put back. */
  putBack(): boolean {
    const { globals } = this.meter;
    if (globals === null || this.#image === null || this.bytes.length !== this.#image.length) return false;
    this.bytes.set(this.#image);
    this.wrote(0, this.#image.length);
    globals.restore();
    return true;
  }

  /** Back to idle after a hook that went well. */
  finish(): void {
    this.exchange = null;
    this.phase = PHASE_IDLE;
    this.stream = null;
    this.window = null;
    this.trailing = null;
    this.skipsBody = false;
    if (this.connections.length > 0) this.#closeConnections();
    if (this.replyHeaders.length > 0) this.replyHeaders = [];
    if (this.fetchHeaders.length > 0) this.fetchHeaders = [];
    this.pendingReply = null;
    this.fetched = null;
  }

  #closeConnections(): void {
    for (const connection of this.connections) connection?.close();
    this.connections.length = 0;
  }
}
