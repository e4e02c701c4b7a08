/** Steps that let a stream go through other pipelines: copies beside it, or one in its way. */
import { Demux, type DemuxOptions } from "#pipeline/filters/demux.ts";
import { Fork, ForkJoin, ForkRace, type ForkValues } from "#pipeline/filters/fork.ts";
import { Branch, Pipe, PipeNext, type Case, type PipeTargetOf } from "#pipeline/filters/pipe.ts";
import { durationMs } from "#pipeline/library/duration.ts";
import type { Context } from "./context.ts";
import type { Pipeline } from "./pipeline.ts";
import { FlowSteps } from "./flow-steps.ts";
import type { Build, Joint } from "./steps.ts";

type When<C extends object> = (context: Context<C>) => boolean;

export abstract class JoinSteps<C extends object> extends FlowSteps<C> {
  /** A copy of the stream for a side pipeline, which can neither alter nor hold up the original. */
  fork(values?: ForkValues<C>): Joint<this, C> {
    return this.joint("fork", (pipeline) => (scope) => new Fork(scope, pipeline, values));
  }

  /** The same; the original goes on when all sides have ended. */
  forkJoin(values?: ForkValues<C>): Joint<this, C> {
    return this.joint("forkJoin", (pipeline) => (scope) => new ForkJoin(scope, pipeline, values));
  }

  /** The outcome of the side that is first to say something goes on, in place of the original. */
  forkRace(values?: ForkValues<C>): Joint<this, C> {
    return this.joint("forkRace", (pipeline) => (scope) => new ForkRace(scope, pipeline, values));
  }

  /** Each message to an instance of its own, whose first message is its answer; answers come as they are ready. */
  demux({ timeout = 10, waitingMax = 1024 }: DemuxOptions = {}): Joint<this, C> {
    const timeoutMs = durationMs("timeout", timeout);
    return this.joint("demux", (pipeline) => (scope) => new Demux(scope, pipeline, timeoutMs, waitingMax));
  }

  /** Through a pipeline, or a chain of them; which one a script may say, also later, by a promise. */
  pipe(target: PipeTargetOf<C>): this {
    return this.use((scope) => new Pipe(scope, target));
  }

  /** Through these, as far as each goes on by `pipeNext`: plugins that are known beforehand. */
  chain(pipelines: readonly Pipeline<C>[]): this {
    return this.use((scope) => new Pipe(scope, pipelines));
  }

  /** Through the next pipeline of the chain that this one is in; behind the last it passes as it is. */
  pipeNext(): this {
    return this.use((scope) => new PipeNext(scope));
  }

  /** Through the pipeline behind the first condition that holds, asked with the first event; else through the last. */
  branch(when: When<C>, build: Build<this, C>, otherwise?: Build<this, C>): this;
  branch(when: When<C>, build: Build<this, C>, or: When<C>, second: Build<this, C>, otherwise?: Build<this, C>): this;
  branch(
    when: When<C>,
    build: Build<this, C>,
    or: When<C>,
    second: Build<this, C>,
    third: When<C>,
    last: Build<this, C>,
    otherwise?: Build<this, C>,
  ): this;
  branch(...parts: readonly unknown[]): this {
    const cases: Case<C>[] = [];
    for (let i = 0; i < parts.length; i += 2) {
      const otherwise = i === parts.length - 1;
      const condition = otherwise ? null : (parts[i] as When<C>);
      cases.push({ condition, pipeline: this.compile(parts[otherwise ? i : i + 1] as Build<this, C>) });
    }
    return this.use((scope) => new Branch(scope, cases));
  }
}
