/** A layout that is complete: what each instance is made of. Immutable, and shared by all workers' streams that use it. */
import type { Emission } from "#pipeline/events/emit.ts";
import type { PipeFilter } from "#pipeline/filters/pipe-filter.ts";
import type { Context } from "./context.ts";
import type { Scope } from "./scope.ts";

/** Makes one filter of one instance. */
export type Maker<C extends object> = (scope: Scope<C>) => PipeFilter<C>;
/** `given`: a value of `fork`, and its place in the list. */
export type StartHandler<C extends object> = (context: Context<C>, ...given: readonly unknown[]) => Emission;
export type EndHandler<C extends object> = (context: Context<C>) => void;

export interface Pipeline<C extends object = object> {
  readonly makers: readonly Maker<C>[];
  readonly onStart: StartHandler<C> | null;
  readonly onEnd: EndHandler<C> | null;
}
