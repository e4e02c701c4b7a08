/**
 * `$`: a layout under construction, and what all kinds of steps are made with. The steps themselves stand in classes that
 * extend one another, a file each kind; `Layout` is the last of them and what scripts get.
 *
 *     Steps ◀── EventSteps ◀── HttpSteps ◀── CodecSteps ◀── FlowSteps ◀── JoinSteps ◀── SocketSteps ◀── Layout
 *
 * Every method adds one filter and answers `this`. A step that needs sub-layouts answers a `Joint`, whose `to` takes them.
 */
import { pipelineError } from "#core/errors/pipeline.ts";
import type { EndHandler, Maker, Pipeline, StartHandler } from "./pipeline.ts";

interface Finished<C extends object> {
  done(): Pipeline<C>;
}

/** `$ => $…`, or a pipeline that was made before. */
export type Build<L, C extends object> = (($: L) => Finished<C>) | Pipeline<C>;

/** A step that waits for its sub-layout. */
export interface Joint<L, C extends object> {
  to(build: Build<L, C>): L;
}

export abstract class Steps<C extends object> {
  readonly #makers: Maker<C>[] = [];
  #onStart: StartHandler<C> | null = null;
  #onEnd: EndHandler<C> | null = null;
  /** A joint's `to` has not been called. */
  #open = "";

  /** When an instance begins: sets up its context. What is answered is its first input. */
  onStart(handler: StartHandler<C>): this {
    this.#onStart = handler;
    return this;
  }

  /** When an instance is over, whatever way. */
  onEnd(handler: EndHandler<C>): this {
    this.#onEnd = handler;
    return this;
  }

  /** Adds a filter of one's own making. */
  use(maker: Maker<C>): this {
    if (this.#open !== "") throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: `${this.#open} without .to()` });
    this.#makers.push(maker);
    return this;
  }

  /** Adds a filter that joins other pipelines: `maker` is given them by index once `to` has been called. `name`: for errors. */
  protected joint(name: string, maker: (pipeline: Pipeline<C>) => Maker<C>): Joint<this, C> {
    this.use(unfinished);
    this.#open = name;
    return {
      to: (build) => {
        this.#open = "";
        this.#makers.pop();
        return this.use(maker(this.compile(build)));
      },
    };
  }

  /** A sub-layout, built now, once. */
  protected compile(build: Build<this, C>): Pipeline<C> {
    return typeof build === "function" ? build(this.fresh()).done() : build;
  }

  /** The layout as it is now. */
  done(): Pipeline<C> {
    if (this.#open !== "") throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: `${this.#open} without .to()` });
    return { makers: [...this.#makers], onStart: this.#onStart, onEnd: this.#onEnd };
  }

  /** An empty layout of the same kind. */
  protected abstract fresh(): this;
}

function unfinished(): never {
  throw pipelineError("PENSTOCK_PIPELINE_LAYOUT");
}
