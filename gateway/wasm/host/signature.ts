/**
 * The types of host calls, derived from the interface's table: a handler whose parameters or result differ from what
 * modules are linked against does not compile.
 *
 * Each entry of the table is a maker: given a guest it answers the function that the guest imports. The engine then calls
 * a closure of known code with the guest at hand, which matters on the hot path.
 */
import type { ABI_FUNCTIONS, AbiFunctionName, ValueType } from "#sdk/types/abi.ts";
import type { Guest } from "#wasm/guest/guest.ts";

type Value<T extends ValueType> = T extends "i64" ? bigint : number;

type Parameters<P extends readonly ValueType[]> = { -readonly [K in keyof P]: Value<P[K]> };

type Result<R extends readonly ValueType[]> = R extends readonly [infer T extends ValueType] ? Value<T> : undefined;

type Signature<N extends AbiFunctionName> = (typeof ABI_FUNCTIONS)[N];

type Answer<N extends AbiFunctionName> =
  Signature<N> extends { readonly suspends: true }
    ? Promise<Result<Signature<N>["results"]>> | Result<Signature<N>["results"]>
    : Result<Signature<N>["results"]>;

export type HostCall<N extends AbiFunctionName> = (...args: Parameters<Signature<N>["params"]>) => Answer<N>;

export type HostCallMakers = { readonly [N in AbiFunctionName]: (guest: Guest) => HostCall<N> };

export type Makers<N extends AbiFunctionName> = Pick<HostCallMakers, N>;
