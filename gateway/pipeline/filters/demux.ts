/**
 * `demux`: each message gets an instance of a sub-pipeline for itself, with a copy of the context, and the first message that
 * comes out of it is its answer. Answers go on when they are whole, in the order in which they become so: for protocols whose
 * answers say what they answer, as DNS does. An instance without an answer is given up after a time.
 */
import { Alarm } from "#net/alarm.ts";
import { emit } from "#pipeline/events/emit.ts";
import { Message } from "#pipeline/events/messages.ts";
import type { Sink } from "#pipeline/events/sink.ts";
import type { Ending } from "#pipeline/events/ending.ts";
import { copyContext } from "#pipeline/layout/context.ts";
import { Instance } from "#pipeline/layout/instance.ts";
import type { Pipeline } from "#pipeline/layout/pipeline.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { Duration } from "#pipeline/library/duration.ts";
import { Collector, WHOLE_BYTES_MAX } from "./collector.ts";
import { PipeFilter } from "./pipe-filter.ts";

export interface DemuxOptions {
  /** How long an answer is waited for; ten seconds unless given. */
  readonly timeout?: Duration;
  /** Messages of one stream that wait for their answers; 1024 unless given. Those beyond are dropped. */
  readonly waitingMax?: number;
}

export class Demux<C extends object> extends PipeFilter<C> {
  readonly #pipeline: Pipeline<C>;
  readonly #timeoutMs: number;
  readonly #waitingMax: number;
  readonly #waiting = new Set<Question<C>>();
  #current: Question<C> | null = null;
  #ending: Ending | null = null;

  constructor(scope: Scope<C>, pipeline: Pipeline<C>, timeoutMs: number, waitingMax: number) {
    super(scope);
    this.#pipeline = pipeline;
    this.#timeoutMs = timeoutMs;
    this.#waitingMax = waitingMax;
  }

  override messageStart(head: object): void {
    this.#current = null;
    if (this.#waiting.size >= this.#waitingMax) {
      this.scope.runtime.log(`demux: ${this.#waitingMax} messages wait for their answers, and one more is dropped`);
      return;
    }
    const question = new Question(this.scope, this.#pipeline, (answer) => this.#answered(question, answer));
    this.#current = question;
    this.#waiting.add(question);
    question.begin(this.#timeoutMs);
    question.input.messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    this.#current?.input.data(buffer, start, end);
  }

  override messageEnd(tail: object | null): void {
    const current = this.#current;
    this.#current = null;
    current?.input.messageEnd(tail);
  }

  /** Passes once all answers have. */
  override streamEnd(ending: Ending): void {
    if (this.#waiting.size === 0) this.output.streamEnd(ending);
    else this.#ending = ending;
  }

  override dispose(): void {
    for (const question of this.#waiting) question.dispose();
    this.#waiting.clear();
  }

  #answered(question: Question<C>, answer: Message | null): void {
    if (!this.#waiting.delete(question)) return;
    question.dispose();
    if (answer !== null) emit(answer, this.output, this.scope.runtime);
    if (this.#waiting.size === 0 && this.#ending !== null) this.output.streamEnd(this.#ending);
  }
}

/** One message on its way to its answer. */
class Question<C extends object> implements Sink {
  readonly #instance: Instance<C>;
  readonly #memory: Uint8Array;
  readonly #done: (answer: Message | null) => void;
  readonly #body = new Collector(WHOLE_BYTES_MAX);
  readonly #alarm: Alarm;
  #head: object | null = null;

  /** `done`: with the answer, or null for none. */
  constructor(scope: Scope<C>, pipeline: Pipeline<C>, done: (answer: Message | null) => void) {
    const { runtime, context, chain } = scope;
    this.#memory = runtime.buffers.memory;
    this.#done = done;
    this.#instance = new Instance(pipeline, copyContext(context), runtime, this, chain);
    this.#alarm = new Alarm(runtime.loop, () => done(null));
  }

  get input(): Sink {
    return this.#instance.input;
  }

  begin(timeoutMs: number): void {
    this.#alarm.set(timeoutMs);
    this.#instance.start();
  }

  messageStart(head: object): void {
    this.#head = head;
  }

  data(_buffer: number, start: number, end: number): void {
    if (this.#head !== null && !this.#body.add(this.#memory, start, end)) this.#done(null);
  }

  messageEnd(tail: object | null): void {
    if (this.#head !== null) this.#done(new Message(this.#head, this.#body.take(), tail));
  }

  streamEnd(): void {
    this.#done(null);
  }

  dispose(): void {
    this.#alarm.cancel();
    this.#instance.dispose();
  }
}
