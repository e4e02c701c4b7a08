/**
 * One instance of an http-wasm plugin and the request it is busy with: from `handle_request` to `handle_response` it belongs
 * to one exchange, as the interface has it, so what a guest keeps in its globals is of that request.
 */
import type { Trailing } from "#pipeline/body.ts";
import type { Exchange } from "#pipeline/filter.ts";
import type { Guest } from "#wasm/guest/guest.ts";
import { type GuestHooks, makeHooks } from "#wasm/guest/hooks.ts";

export interface HandlerExports {
  readonly start: () => void;
  readonly handleRequest: () => bigint;
  readonly handleResponse: (context: number, isError: number) => void;
}

/** A body as the guest reads and writes it. Null parts: there is none to be had, or nothing was written. */
export class HandlerBody {
  bytes: Uint8Array | null = null;
  /** How far the guest has read. */
  read = 0;
  written: Uint8Array[] | null = null;
  writtenBytes = 0;
  /** Of a body that is whole: what goes behind it. */
  trailing: Trailing | null = null;
  /** Of its trailers, said before it is whole. */
  trailerEdits: HeaderEdit[] = [];

  reset(): void {
    this.bytes = null;
    this.read = 0;
    this.written = null;
    this.writtenBytes = 0;
    this.trailing = null;
    this.trailerEdits = [];
  }

  get replacement(): Uint8Array | null {
    return this.written === null ? null : Buffer.concat(this.written);
  }
}

export interface HeaderEdit {
  readonly name: string;
  /** Null: it goes. */
  readonly value: string | null;
  /** In the place of all of that name. */
  readonly replaces: boolean;
}

export class HttpHandler {
  readonly guest: Guest;
  readonly exports: HandlerExports;
  readonly configuration: Uint8Array;
  /** Bodies that the module could want: it imports what reads or writes them. */
  readonly wantsBodies: boolean;
  /** Enabled before the first request, for all of them. */
  #featuresAtStart = 0;
  features = 0;
  exchange: Exchange | null = null;
  /** What `handle_request` has handed over to `handle_response`. */
  context = 0;
  /** The response has come. */
  afterNext = false;
  readonly request = new HandlerBody();
  readonly response = new HandlerBody();
  /** Of the response, said before there was one; 0: nothing. */
  status = 0;
  edits: HeaderEdit[] = [];

  constructor(guest: Guest, exports: HandlerExports, configuration: Uint8Array, wantsBodies: boolean) {
    this.guest = guest;
    this.exports = exports;
    this.configuration = configuration;
    this.wantsBodies = wantsBodies;
  }

  /** The module has asked for all of these. */
  has(features: number): boolean {
    return (this.features & features) === features;
  }

  /** Runs whatever comes before the first request. */
  start(): void {
    this.exports.start();
    this.#featuresAtStart = this.features;
  }

  begin(exchange: Exchange): void {
    this.exchange = exchange;
    this.features = this.#featuresAtStart;
    this.context = 0;
    this.afterNext = false;
    this.request.reset();
    this.response.reset();
    this.status = 0;
    this.edits = [];
  }

  release(): void {
    this.exchange = null;
    this.request.reset();
    this.response.reset();
    this.edits = [];
  }
}

interface HooksOfHandler extends GuestHooks {
  readonly handler: HttpHandler;
}

/** What stands in the place of a guest's hooks: its filter calls the exports, and only `start` as a hook. */
export function hooksOfHandler(handler: HttpHandler): GuestHooks {
  const hooks: HooksOfHandler = { ...makeHooks(0, { start: () => handler.start() }), handler };
  return hooks;
}

export function handlerOf(guest: Guest): HttpHandler {
  return (guest.hooks as HooksOfHandler).handler;
}
