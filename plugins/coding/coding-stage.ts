/**
 * A body through a stream of node:zlib, which works in the thread pool: the loop's thread only hands regions over. A region
 * is read where it was received, and its buffer kept until the stream is done with it.
 *
 * Memory: the stream's own, PENDING_BYTES_MAX of input, and what it has made while the next stage was full (its high
 * watermark, 64 KiB).
 */
import type { BodyLink } from "#pipeline/body.ts";
import { PassingStage } from "#pipeline/body.ts";
import type { CodingStream } from "#pipeline/codecs/codings.ts";

const PENDING_BYTES_MAX = 128 * 1024;

export interface CodingOptions {
  /** Everything that has come is passed on at once: for streams of events. */
  readonly flush: boolean;
  /** More output than this is refused; a small body can stand for a huge one. */
  readonly bytesMax: number;
  /** Answers for input that is no such coding. */
  readonly badInput: { readonly status: number; readonly detail: string };
  /** The stream is gone. */
  readonly done: () => void;
}

export class CodingStage extends PassingStage {
  readonly #stream: CodingStream;
  readonly #options: CodingOptions;
  /** Buffers of regions that the stream has not finished, oldest first. */
  readonly #lent: number[] = [];
  #pending = 0;
  #paused = false;
  #made = 0;
  #octets: Buffer = Buffer.alloc(0);

  constructor(stream: CodingStream, options: CodingOptions) {
    super();
    this.#stream = stream;
    this.#options = options;
    stream.on("data", (chunk: Buffer) => this.#produced(chunk));
    stream.on("end", () => this.link.end());
    stream.on("error", () => {
      const { status, detail } = options.badInput;
      this.link.fail(status, "bad-coding", detail);
    });
    stream.once("close", options.done);
  }

  override attach(link: BodyLink): void {
    super.attach(link);
    const { buffer, byteOffset, byteLength } = link.memory;
    this.#octets = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
  }

  override data(buffer: number, start: number, end: number): void {
    const { link } = this;
    link.retain(buffer);
    this.#lent.push(buffer);
    this.#pending += end - start;
    this.#stream.write(this.#octets.subarray(start, end), () => {
      const lent = this.#lent.shift();
      if (lent === undefined) return;
      link.release(lent);
      this.#pending -= end - start;
      if (!this.#paused || this.#pending > PENDING_BYTES_MAX / 2) return;
      this.#paused = false;
      link.resume();
    });
    if (this.#options.flush) this.#stream.flush(() => {});
    if (this.#pending <= PENDING_BYTES_MAX || this.#paused) return;
    this.#paused = true;
    link.pause();
  }

  override end(): void {
    this.#stream.end();
  }

  override drained(): void {
    this.#stream.resume();
  }

  /**
   * A destroyed stream does not tell of every write. A thread that still reads a region then reads another's bytes, of
   * which nothing comes out any more.
   */
  override dispose(): void {
    this.#stream.destroy();
    for (const buffer of this.#lent.splice(0)) this.link.release(buffer);
  }

  #produced(chunk: Buffer): void {
    this.#made += chunk.length;
    if (this.#made > this.#options.bytesMax) {
      this.link.fail(413, "body-too-long", "the body is too long when it is decoded");
      return;
    }
    this.link.write(chunk);
    if (this.link.full) this.#stream.pause();
  }
}
