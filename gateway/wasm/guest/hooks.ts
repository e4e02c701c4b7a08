/**
 * What every kind of guest comes down to: the hooks that a filter can run in it, and what the meter exports. A kind's
 * adapter makes these from the exports of its instance; filters, faults, fuel and memory bounds know nothing else of it.
 *
 * Hooks take no parameters and find what they need on their guest (`exchange`, `body`, `phase`): the filter puts it there
 * with `begin`, and takes it away with `finish`. A guest that lacks a hook has one that answers ACTION_CONTINUE; `present`
 * says which are real, so that the engine does not ask for the others.
 */
import { ACTION_CONTINUE } from "#sdk/types/abi.ts";

/**
 * What a hook answers: CONTINUE; REPLY, the local reply that a host call has made goes back; PAUSE, not yet: the guest goes on by itself
 * later, or wants to see more of the body first.
 */
export { ACTION_CONTINUE, ACTION_PAUSE, ACTION_REPLY } from "#sdk/types/abi.ts";

export interface GuestHooks {
  /** The GUEST_ bits of the hooks that the guest has. */
  readonly present: number;
  /** The module's start function and whatever its kind runs before anything else. */
  start(): void;
  /** 0: the configuration is accepted. */
  configure(): number;
  requestHead(): number;
  /** `last`: 1 when the body is whole, else 0. The bytes at hand are the guest's `window`. */
  requestBody(last: number): number;
  /** The body is over; `trailing` of the guest. */
  requestEnd(): void;
  responseHead(): number;
  responseBody(last: number): number;
  responseEnd(): void;
  /** The exchange, or the stream, is over. */
  end(): void;
  /** A stream begins: ACTION_REPLY refuses it. */
  connection(): number;
  /** Bytes of a stream: 0 from the client, 1 from the upstream. ACTION_REPLY ends it. */
  data(direction: number, last: number): number;
  tick(): void;
  message(): void;
}

export const GUEST_REQUEST_HEAD = 1;
export const GUEST_RESPONSE_HEAD = 2;
export const GUEST_END = 4;
export const GUEST_REQUEST_BODY = 8;
export const GUEST_REQUEST_END = 16;
export const GUEST_RESPONSE_BODY = 32;
export const GUEST_RESPONSE_END = 64;
export const GUEST_CONNECTION = 128;
export const GUEST_DATA = 256;
export const GUEST_TICK = 512;
export const GUEST_MESSAGE = 1024;

/** Hooks for which a filter needs the request's body, and the response's. */
export const GUEST_REQUEST_CONTENT: number = GUEST_REQUEST_BODY | GUEST_REQUEST_END;
export const GUEST_RESPONSE_CONTENT: number = GUEST_RESPONSE_BODY | GUEST_RESPONSE_END;

/** What the metering pass has put into a module. Of a component: of all its modules together. */
export interface GuestMeter {
  readonly memory: WebAssembly.Memory;
  /** What is left; −1 when it is used up. */
  readonly fuel: () => number;
  readonly refuel: (fuel: number) => void;
  /** Keeps the globals, and puts back what was kept; null: there is more to a guest's state than memory and globals. */
  readonly globals: { readonly save: () => void; readonly restore: () => void } | null;
  /** Whether a growth of the memory was refused. */
  readonly growthRefused: WebAssembly.Global;
}

/** An instance, before its kind has made hooks of it. */
export interface Instantiated {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly meter: GuestMeter;
  /** What was the module's start function; undefined: it has none. */
  readonly start: (() => void) | undefined;
}

export interface GuestParts {
  readonly meter: GuestMeter;
  readonly hooks: GuestHooks;
}

const nothing = (): void => undefined;
const goOn = (): number => ACTION_CONTINUE;

/** The hooks that a guest may lack. */
export type OwnHooks = { readonly [K in Exclude<keyof GuestHooks, "present">]?: GuestHooks[K] | undefined };

/** A guest's hooks from those that it has. */
export function makeHooks(present: number, own: OwnHooks): GuestHooks {
  return {
    present,
    start: own.start ?? nothing,
    configure: own.configure ?? goOn,
    requestHead: own.requestHead ?? goOn,
    requestBody: own.requestBody ?? goOn,
    requestEnd: own.requestEnd ?? nothing,
    responseHead: own.responseHead ?? goOn,
    responseBody: own.responseBody ?? goOn,
    responseEnd: own.responseEnd ?? nothing,
    end: own.end ?? nothing,
    connection: own.connection ?? goOn,
    data: own.data ?? goOn,
    tick: own.tick ?? nothing,
    message: own.message ?? nothing,
  };
}
