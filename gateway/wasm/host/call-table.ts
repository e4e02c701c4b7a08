/**
 * Tables of host calls for the interfaces of other gateways: from the signatures that modules are checked against and the
 * handlers, which must have those types to compile.
 */
import type { Guest } from "#wasm/guest/guest.ts";
import type { HostCall, HostCallTable, HostEffect, HostFunction } from "#wasm/guest/runtime.ts";
import type { Signature } from "#wasm/validate/signatures.ts";

type Value<T> = T extends "i64" ? bigint : number;

type Arguments<P extends readonly unknown[]> = { -readonly [K in keyof P]: Value<P[K]> };

type Answer<R extends readonly unknown[]> = R extends readonly [infer T] ? Value<T> : void;

/** Given a guest, each answers the function that the guest imports. */
export type Handlers<T extends Readonly<Record<string, Signature>>> = {
  readonly [N in keyof T]: (guest: Guest) => (...args: Arguments<T[N]["params"]>) => Answer<T[N]["results"]>;
};

export interface Trait {
  readonly effect: HostEffect;
  readonly suppressed: number | bigint | undefined;
}

/** One row for each module that has the function under this name. */
export function hostCalls<T extends Readonly<Record<string, Signature>>>(
  modules: readonly string[],
  handlers: Handlers<T>,
  traitOf: (name: string) => Trait,
): readonly HostCall[] {
  return modules.flatMap((module) =>
    Object.entries(handlers).map(([name, handler]) => ({
      module,
      name,
      // The handlers' types say more than a table over all names can: they were checked when it was built.
      make: handler as unknown as (guest: Guest) => HostFunction,
      suspends: false,
      ...traitOf(name),
    })),
  );
}

export function callTable(...parts: readonly (readonly HostCall[])[]): HostCallTable {
  return new Map(parts.flat().map((call) => [`${call.module}.${call.name}`, call]));
}
