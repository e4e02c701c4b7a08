/**
 * Bytes, as scripts see them. A `Data` that a handler is given is a window onto the data plane's memory, valid until the
 * handler returns, or until the promise it returned has settled: nothing is copied for who only looks at its size, or
 * passes it on. Read later it throws, rather than show another stream's bytes; `toBytes()` and `toString()` make copies
 * that last. A `Data` that a script makes owns its bytes.
 */
import { pipelineError } from "#core/errors/pipeline.ts";

const NO_BYTES = new Uint8Array(0);

export class Data {
  #bytes: Uint8Array;
  #start: number;
  #end: number;
  #valid = true;
  /** The buffer that holds it; −1 when it owns its bytes. */
  readonly buffer: number;

  /** Text is encoded as UTF-8. */
  constructor(content: string | Uint8Array = NO_BYTES, buffer = -1, start = 0, end = -1) {
    this.#bytes = typeof content === "string" ? Buffer.from(content) : content;
    this.buffer = buffer;
    this.#start = start;
    this.#end = end < 0 ? this.#bytes.length : end;
  }

  /** A window, until `invalidate`. */
  static window(memory: Uint8Array, buffer: number, start: number, end: number): Data {
    return new Data(memory, buffer, start, end);
  }

  get size(): number {
    return this.#end - this.#start;
  }

  /** Where it begins in the data plane's memory; only for windows. */
  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  /** The bytes themselves: as long as this is valid, not to be changed. */
  view(): Uint8Array {
    if (!this.#valid) throw pipelineError("PENSTOCK_PIPELINE_STALE_DATA");
    return this.#bytes.subarray(this.#start, this.#end);
  }

  toBytes(): Uint8Array {
    return this.view().slice();
  }

  toString(encoding: BufferEncoding = "utf8"): string {
    const { buffer, byteOffset, byteLength } = this.view();
    return Buffer.from(buffer, byteOffset, byteLength).toString(encoding);
  }

  /** The handler it was given to is done with it. */
  invalidate(): void {
    this.#valid = false;
    this.#bytes = NO_BYTES;
  }
}
