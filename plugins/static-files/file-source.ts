/**
 * Parts of a file as the body of a reply. What is in the page cache is read at once, the rest by the thread pool; never
 * more than one piece ahead of the client's pace. Owns the descriptor.
 */
import { closeSync, read } from "node:fs";
import { PassingStage } from "#pipeline/body.ts";
import type { FileServices } from "#plugins/builtin-filter.ts";

/** A piece of the file, or text between pieces. */
export type Part = { readonly start: number; readonly end: number } | Uint8Array;

const PIECE_BYTES = 64 * 1024;
/** For reads that do not wait: used within one call only. */
const piece = Buffer.alloc(PIECE_BYTES);

export class FileSource extends PassingStage {
  readonly #files: FileServices;
  readonly #fd: number;
  readonly #parts: readonly Part[];
  #part = 0;
  /** Bytes of the current part that have been sent. */
  #sent = 0;
  #reading = false;
  #disposed = false;

  constructor(files: FileServices, fd: number, parts: readonly Part[]) {
    super();
    this.#files = files;
    this.#fd = fd;
    this.#parts = parts;
  }

  override drained(): void {
    while (!this.#reading && !this.#disposed && !this.link.full) {
      const part = this.#parts[this.#part];
      if (part === undefined) {
        this.link.end();
        return;
      }
      if (part instanceof Uint8Array) {
        this.#part++;
        this.link.write(part);
      } else if (part.start + this.#sent >= part.end) {
        this.#part++;
        this.#sent = 0;
      } else {
        this.#read(part.start + this.#sent, Math.min(PIECE_BYTES, part.end - part.start - this.#sent));
      }
    }
  }

  override dispose(): void {
    this.#disposed = true;
    if (!this.#reading) closeSync(this.#fd);
  }

  #read(position: number, bytes: number): void {
    const cached = this.#files.readCached(this.#fd, piece.subarray(0, bytes), position);
    if (cached >= 0) {
      this.#got(piece, cached);
      return;
    }
    this.#reading = true;
    const target = Buffer.allocUnsafe(bytes);
    read(this.#fd, target, 0, bytes, position, (error, count) => {
      this.#reading = false;
      if (this.#disposed) {
        closeSync(this.#fd);
        return;
      }
      this.#got(target, error === null ? count : 0);
      this.drained();
    });
  }

  #got(bytes: Buffer, count: number): void {
    if (count === 0) {
      // The file has become shorter, or can't be read: what was promised can't be sent.
      this.link.fail(500, "file-cut", "the file ended early");
      return;
    }
    this.#sent += count;
    this.link.write(bytes.subarray(0, count));
  }
}
