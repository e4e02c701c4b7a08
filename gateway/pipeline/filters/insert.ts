/** `insert`: a script's events in front of everything that comes, when the stream begins. */
import { emit, type Emission } from "#pipeline/events/emit.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { FAILED, ScriptFilter } from "./script-filter.ts";

export type Inserting<C extends object> = (context: Context<C>) => Emission | Promise<Emission>;

export class Insert<C extends object> extends ScriptFilter<C> {
  readonly #handler: Inserting<C>;

  constructor(scope: Scope<C>, handler: Inserting<C>) {
    super(scope);
    this.#handler = handler;
  }

  override started(): void {
    const answer = this.call<Context<C>, Emission>(this.#handler, this.scope.context);
    if (answer === FAILED) return;
    const go = (first: Emission): void => emit(first, this.output, this.scope.runtime);
    if (answer instanceof Promise) this.waitFor(answer, go);
    else this.attempt(go, answer);
  }
}
