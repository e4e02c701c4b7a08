/**
 * `compress` and `decompress`: bodies, or the bytes of a stream without messages, through a stream of node:zlib. HTTP heads are
 * told: `content-encoding` comes or goes, and the length with it.
 *
 * What goes in is copied, since the thread pool reads it after the call. The next message waits until this one is out. In
 * memory: the stream's own, and PENDING_BYTES_MAX of input.
 */
import { compressor, decompressor, type Coding, type CodingStream } from "#pipeline/codecs/codings.ts";
import { ENDED, MALFORMED, TOO_LARGE, type Ending } from "#pipeline/events/ending.ts";
import { withoutLength } from "#pipeline/events/length.ts";
import { CountedSource, Gate } from "#pipeline/flow.ts";
import { HttpHead } from "#pipeline/http/http-head.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { HoldingFilter } from "./holding-filter.ts";

/** The coding, or what a script says of this stream's next message; undefined: it passes as it is. */
export type CodingOf<C extends object> = Coding | ((context: Context<C>) => Coding | undefined);

export interface CompressOptions {
  /** As the coding's own library counts: gzip 0–9 (5), br 0–11 (4), zstd 1–22 (3). */
  readonly level?: number;
}

export interface DecompressOptions {
  /** Of what comes out, a message: a few bytes can stand for many. 10 MiB unless given. */
  readonly bytesMax?: number;
}

const PENDING_BYTES_MAX = 128 * 1024;
const DECODED_BYTES_MAX = 10 * 1024 * 1024;
const CONTENT_ENCODING = "content-encoding";

/** The stream as whoever feeds what follows. */
class CodingSource extends CountedSource {
  readonly #stream: CodingStream;

  constructor(stream: CodingStream) {
    super();
    this.#stream = stream;
  }

  protected override stop(): void {
    this.#stream.pause();
  }

  protected override go(): void {
    this.#stream.resume();
  }
}

abstract class CodingFilter<C extends object> extends HoldingFilter<C> {
  readonly #gate: Gate;
  readonly #bytesMax: number;
  #stream: CodingStream | null = null;
  #within = false;
  #made = 0;

  constructor(scope: Scope<C>, bytesMax: number) {
    super(scope);
    this.#gate = new Gate(scope.runtime.flow);
    this.#bytesMax = bytesMax;
  }

  /** The stream for a message with this head, or for one without any; null: it passes as it is. */
  protected abstract streamFor(head: object | null): CodingStream | null;
  /** Its head once it goes through. */
  protected abstract headOf(head: object): object;

  override takeMessageStart(head: object): void {
    this.#within = true;
    this.#open(head);
    this.output.messageStart(this.#stream === null ? head : this.headOf(withoutLength(head)));
  }

  override takeData(buffer: number, start: number, end: number): void {
    if (this.#stream === null && !this.#within) this.#open(null);
    const stream = this.#stream;
    if (stream === null) return this.output.data(buffer, start, end);
    stream.write(this.memory.slice(start, end), () => {
      if (stream.writableLength <= PENDING_BYTES_MAX / 2) this.#gate.open();
    });
    if (stream.writableLength > PENDING_BYTES_MAX) this.#gate.shut();
  }

  override takeMessageEnd(tail: object | null): void {
    this.#within = false;
    this.#finish(() => this.output.messageEnd(tail));
  }

  override takeStreamEnd(ending: Ending): void {
    if (ending === ENDED && !this.#within) this.#finish(() => this.output.streamEnd(ending));
    else {
      this.#close();
      this.output.streamEnd(ending);
    }
  }

  override dispose(): void {
    this.#close();
    super.dispose();
  }

  #open(head: object | null): void {
    const stream = this.streamFor(head);
    this.#stream = stream;
    this.#made = 0;
    if (stream === null) return;
    const source = new CodingSource(stream);
    stream.on("data", (chunk: Buffer) => this.#produced(chunk, source));
    stream.on("error", () => this.#refuse(MALFORMED));
  }

  #produced(chunk: Buffer, source: CodingSource): void {
    this.#made += chunk.length;
    if (this.#made > this.#bytesMax) return this.#refuse(TOO_LARGE);
    const { flow } = this.scope.runtime;
    const before = flow.current;
    flow.current = source;
    this.write(chunk);
    flow.current = before;
  }

  #refuse(ending: Ending): void {
    this.#close();
    this.scope.break(ending);
  }

  /** All that was put in comes out, then `done`; what follows waits. */
  #finish(done: () => void): void {
    const stream = this.#stream;
    if (stream === null) return done();
    this.hold();
    stream.once("end", () => {
      this.#close();
      done();
      this.release();
    });
    stream.end();
  }

  #close(): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#gate.open();
    if (stream === null) return;
    stream.removeAllListeners();
    // One that is destroyed may still say so.
    stream.on("error", () => {});
    stream.destroy();
  }
}

export class Compress<C extends object> extends CodingFilter<C> {
  readonly #codingOf: CodingOf<C>;
  readonly #level: number | undefined;
  #coding: Coding | undefined;

  constructor(scope: Scope<C>, coding: CodingOf<C>, { level }: CompressOptions) {
    super(scope, Infinity);
    this.#codingOf = coding;
    this.#level = level;
  }

  protected override streamFor(head: object | null): CodingStream | null {
    try {
      const { context } = this.scope;
      this.#coding = typeof this.#codingOf === "function" ? this.#codingOf(context) : this.#codingOf;
      const coded = head instanceof HttpHead && head.get(CONTENT_ENCODING) !== undefined;
      return this.#coding === undefined || coded ? null : compressor(this.#coding, this.#level);
    } catch (error) {
      this.scope.fail(error);
      return null;
    }
  }

  protected override headOf(head: object): object {
    if (head instanceof HttpHead && this.#coding !== undefined) head.set(CONTENT_ENCODING, this.#coding);
    return head;
  }
}

/** Without a coding of its own it goes by what an HTTP head says, and lets pass what it does not know. */
export class Decompress<C extends object> extends CodingFilter<C> {
  readonly #codingOf: CodingOf<C> | undefined;

  constructor(scope: Scope<C>, coding: CodingOf<C> | undefined, { bytesMax = DECODED_BYTES_MAX }: DecompressOptions) {
    super(scope, bytesMax);
    this.#codingOf = coding;
  }

  protected override streamFor(head: object | null): CodingStream | null {
    try {
      const { context } = this.scope;
      const said = typeof this.#codingOf === "function" ? this.#codingOf(context) : this.#codingOf;
      const coding = said ?? (head instanceof HttpHead ? head.get(CONTENT_ENCODING) : undefined);
      return coding === undefined ? null : decompressor(coding);
    } catch (error) {
      this.scope.fail(error);
      return null;
    }
  }

  protected override headOf(head: object): object {
    if (head instanceof HttpHead) head.remove(CONTENT_ENCODING);
    return head;
  }
}
