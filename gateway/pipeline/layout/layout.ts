/** `$` of scripts: the last of the classes of steps (see `steps.ts`). */
import { SocketSteps } from "./socket-steps.ts";
import type { Build } from "./steps.ts";
import type { Pipeline } from "./pipeline.ts";

export class Layout<C extends object = object> extends SocketSteps<C> {
  protected override fresh(): this {
    return new Layout<C>() as this;
  }
}

/** A pipeline to be used in several places: `.to(p)`, `pipe(p)`, `listen(8000, p)`. */
export function pipeline<C extends object = object>(build: Build<Layout<C>, C>): Pipeline<C> {
  return typeof build === "function" ? build(new Layout<C>()).done() : build;
}
