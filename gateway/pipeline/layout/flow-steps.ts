/** Steps that know no protocol: what passes is cut, gathered, slowed down, shown. */
import {
  Compress,
  Decompress,
  type CodingOf,
  type CompressOptions,
  type DecompressOptions,
} from "#pipeline/filters/coding.ts";
import { Deframe, type Deframer, type DeframeOptions } from "#pipeline/filters/deframe.ts";
import { Dump, Print, type TagOf } from "#pipeline/filters/dump.ts";
import { Insert, type Inserting } from "#pipeline/filters/insert.ts";
import { Pack, type PackOptions } from "#pipeline/filters/pack.ts";
import { Split, type SplitOptions } from "#pipeline/filters/split.ts";
import {
  ThrottleConcurrency,
  ThrottleDataRate,
  ThrottleMessageRate,
  type QuotaOf,
  type ThrottleOptions,
} from "#pipeline/filters/throttle.ts";
import { Tee } from "#pipeline/filters/tee.ts";
import { Wait, type Condition, type WaitOptions } from "#pipeline/filters/wait.ts";
import { pipelineError } from "#core/errors/pipeline.ts";
import { durationMs } from "#pipeline/library/duration.ts";
import { currentProgram } from "#pipeline/program.ts";
import { CodecSteps } from "./codec-steps.ts";

export abstract class FlowSteps<C extends object> extends CodecSteps<C> {
  /** Bodies, or bytes outside of messages, become messages, cut at a separator. */
  split(separator: string | Uint8Array, options: SplitOptions = {}): this {
    const bytes = Buffer.from(separator as string);
    if (bytes.length === 0) throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: "split by nothing" });
    return this.use((scope) => new Split(scope, bytes, options));
  }

  /** A binary protocol read by a generator: it yields how many bytes it wants, and the events it makes of them. */
  deframe(deframer: Deframer<C>, options: DeframeOptions = {}): this {
    return this.use((scope) => new Deframe(scope, deframer, options));
  }

  /** `size` messages become one, with the head of the first; fewer after `interval`. */
  pack(size = 1, { interval = 5, bytesMax }: PackOptions = {}): this {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw pipelineError("PENSTOCK_PIPELINE_LAYOUT", { detail: `pack of ${size} messages` });
    }
    const intervalMs = durationMs("interval", interval);
    return this.use((scope) => new Pack(scope, size, intervalMs, bytesMax));
  }

  /** Bodies, or a stream of bytes, by gzip, br or zstd. */
  compress(coding: CodingOf<C>, options: CompressOptions = {}): this {
    return this.use((scope) => new Compress(scope, coding, options));
  }

  /** Without a coding: by the `content-encoding` of HTTP messages. */
  decompress(coding?: CodingOf<C>, options: DecompressOptions = {}): this {
    return this.use((scope) => new Decompress(scope, coding, options));
  }

  /** As many streams at one time as the quota has. */
  throttleConcurrency(quota: QuotaOf<C>, options: ThrottleOptions = {}): this {
    return this.use((scope) => new ThrottleConcurrency(scope, quota, options));
  }

  throttleMessageRate(quota: QuotaOf<C>, options: ThrottleOptions = {}): this {
    return this.use((scope) => new ThrottleMessageRate(scope, quota, options));
  }

  /** The quota counts bytes. */
  throttleDataRate(quota: QuotaOf<C>, options: ThrottleOptions = {}): this {
    return this.use((scope) => new ThrottleDataRate(scope, quota, options));
  }

  /** Nothing passes until the condition holds, or its promise has settled. */
  wait(condition: Condition<C>, { timeout }: WaitOptions = {}): this {
    const timeoutMs = timeout === undefined ? Infinity : durationMs("timeout", timeout);
    return this.use((scope) => new Wait(scope, condition, timeoutMs));
  }

  /** Events in front of everything that comes. */
  insert(handler: Inserting<C>): this {
    return this.use((scope) => new Insert(scope, handler));
  }

  /** The same steps again: so many times, or once for each value. */
  repeat<T>(times: number | readonly T[], build: ($: this, value: T | number, index: number) => this): this {
    const values: readonly (T | number)[] =
      typeof times === "number" ? Array.from({ length: times }, (_, i) => i) : times;
    return values.reduce<this>(($, value, i) => build($, value, i), this);
  }

  /**
   * A copy of all bytes at the end of a file, which the supervisor opens when the script is put into force; a path from the
   * script, or an absolute one, written out. A disk that is slower than the stream holds it up; one that is full is logged.
   */
  tee(path: string): this {
    const file = currentProgram("tee").output(path);
    return this.use((scope) => new Tee(scope, file));
  }

  /** Every event in the log, bytes in hexadecimal. */
  dump(tag: TagOf<C> = ""): this {
    return this.use((scope) => new Dump(scope, tag));
  }

  /** Bytes in the log, as text. */
  print(): this {
    return this.use((scope) => new Print(scope));
  }
}
