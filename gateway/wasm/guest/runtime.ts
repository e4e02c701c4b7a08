/**
 * One kind of guest as the worker runs it: its host calls and the way from an instance to hooks. `core-runtime.ts` is the
 * core interface; each other kind has a file of its own, and `create-filter.ts` knows them all.
 */
import type { GuestKind } from "#wasm/validate/kind.ts";
import type { Guest } from "./guest.ts";
import type { GuestParts, Instantiated } from "./hooks.ts";

export type HostFunction = (...args: (number | bigint)[]) => number | bigint | undefined | Promise<number>;

/**
 * What a host call does, apart from answering: nothing that outlives the guest (`none`), it looks at what may be different
 * next time (`reads`), or it changes something (`acts`). Shadow runs suppress what acts; a replay runs none of them.
 */
export type HostEffect = "none" | "reads" | "acts";

/** One way in which a guest can reach the host. Without an interposer nothing stands between guest and handler. */
export interface HostCall {
  /** Module and name of the import. */
  readonly module: string;
  readonly name: string;
  /** The function that a guest imports. The engine then calls a closure of known code with the guest at hand. */
  readonly make: (guest: Guest) => HostFunction;
  readonly effect: HostEffect;
  /** With it a guest can make a body longer or shorter. */
  readonly changesBody?: true;
  /** It may answer a promise: the guest is suspended. */
  readonly suspends: boolean;
  /** The answer when it is suppressed: there is no such thing; it is done. */
  readonly suppressed: number | bigint | undefined;
}

/** By `module.name`. */
export type HostCallTable = ReadonlyMap<string, HostCall>;

/** A function of the guest that the host calls. Where it can be suspended, it answers a promise of its result. */
export type GuestFunction = (...args: (number | bigint)[]) => unknown;

/**
 * Stands between guests and their host, for a trace, a recording, a shadow run: all that crosses, of every kind of guest, crosses
 * it. `run` is the function whose place is taken. What host calls write into the memory is told by `guest.onWrite`.
 */
export interface Interposer {
  /** The place of a host call. */
  readonly hostCall: (call: HostCall, run: HostFunction, guest: Guest) => HostFunction;
  /** The place of a function of the guest, by the name of its export; absent: the host calls guests directly. */
  readonly entry?: (name: string, run: GuestFunction, guest: Guest) => GuestFunction;
}

/** A prepared module, compiled: what all guests of all its filters share. */
export interface LoadedModule {
  readonly kind: GuestKind;
  readonly runtime: GuestRuntime;
  readonly module: WebAssembly.Module;
  /** The host calls that it imports, in the order of its imports. */
  readonly calls: readonly HostCall[];
  /** One of them suspends. */
  readonly suspends: boolean;
}

export interface GuestRuntime {
  readonly kind: GuestKind;
  readonly calls: HostCallTable;
  /** Fuel for start function and configuration together; absent: CONFIGURE_FUEL. */
  readonly startFuel?: number;
  /** From an instance, of which nothing has run yet, to hooks. */
  partsOf(instance: Instantiated, loaded: LoadedModule, guest: Guest): GuestParts;
}

/** The functions that a module imports, bound to one guest, each through the interposer. */
export function bindHostCalls(
  guest: Guest,
  calls: readonly HostCall[],
  interposer: Interposer | null,
): Record<string, WebAssembly.ModuleImports> {
  const bound: Record<string, WebAssembly.ModuleImports> = {};
  for (const call of calls) {
    const real = call.make(guest);
    const used = interposer === null ? real : interposer.hostCall(call, real, guest);
    const suspends = call.suspends && interposer !== suppress;
    (bound[call.module] ??= {})[call.name] = suspends ? new WebAssembly.Suspending(used) : used;
  }
  return bound;
}

/** For warming up: nothing is there, and everything is as if it had been done. */
export const suppress: Interposer = {
  hostCall: (call, run) => (call.effect === "none" ? run : () => call.suppressed),
};
