/**
 * What every kind of guest comes down to: the hooks that a filter can run in it, and what the meter exports. A kind's
 * adapter makes these from the exports of its instance; filters, faults, fuel and memory bounds know nothing else of it.
 *
 * Hooks take no parameters and find what they need on their guest (`exchange`, `body`, `phase`): the filter puts it there
 * with `begin`, and takes it away with `finish`. A guest that lacks a hook has one that answers ACTION_CONTINUE; `present`
 * says which are real, so that the engine does not ask for the others.
 */

/** What a hook answers. */
export const ACTION_CONTINUE = 0;
/** The local reply that a host call has made goes back. */
export const ACTION_REPLY = 1;
/** Not yet: the guest goes on by itself later, or wants to see more of the body first. */
export const ACTION_PAUSE = 2;

export interface GuestHooks {
  /** The GUEST_ bits of the hooks that the guest has. */
  readonly present: number;
  /** The module's start function and whatever its kind runs before anything else. */
  start(): void;
  /** 0: the configuration is accepted. */
  configure(): number;
  requestHead(): number;
  responseHead(): number;
  /** The exchange is over. */
  end(): void;
}

export const GUEST_REQUEST_HEAD = 1;
export const GUEST_RESPONSE_HEAD = 2;
export const GUEST_END = 4;

/** What the metering pass has put into a module. Of a component: of all its modules together. */
export interface GuestMeter {
  readonly memory: WebAssembly.Memory;
  /** What is left; −1 when it is used up. */
  readonly fuel: () => number;
  readonly refuel: (fuel: number) => void;
  /** Whether a growth of the memory was refused. */
  readonly growthRefused: WebAssembly.Global;
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
    responseHead: own.responseHead ?? goOn,
    end: own.end ?? nothing,
  };
}
