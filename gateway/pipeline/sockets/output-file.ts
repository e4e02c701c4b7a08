/**
 * A file that streams of a program are copied into, by `tee`. Workers can open no files: the supervisor does, for paths that
 * are written out in the script, and hands over a descriptor that appends. Writes go through the thread pool, one at a time, each
 * with all that has come meanwhile; who brings more than the disk takes is stopped.
 *
 * Owned by its program and by the filters that use it: closed when all of them have let go and everything is written.
 */
import { close, write } from "node:fs";
import type { Gate } from "#pipeline/flow.ts";

/** What may wait for the disk; beyond it sources stop. */
const WAITING_BYTES_MAX = 1024 * 1024;

export class OutputFile {
  readonly path: string;
  readonly #log: (line: string) => void;
  #fd = -1;
  #users = 1;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writing = false;
  /** It was told that writing fails; until it goes well again. */
  #failing = false;
  readonly #shut = new Set<Gate>();

  /** `path`: for what is logged. */
  constructor(path: string, log: (line: string) => void) {
    this.path = path;
    this.#log = log;
  }

  /** `fd` is ours from now on. */
  open(fd: number): void {
    this.#fd = fd;
    this.#write();
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    this.#closeWhenDone();
  }

  /** Takes a copy. `gate`: of who may have to wait. */
  append(bytes: Uint8Array, gate: Gate): void {
    this.#waiting.push(bytes.slice());
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX) {
      gate.shut();
      this.#shut.add(gate);
    }
    this.#write();
  }

  #write(): void {
    if (this.#writing || this.#waiting.length === 0 || this.#fd < 0) return;
    this.#writing = true;
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#writeFrom(all, 0);
  }

  #writeFrom(all: Buffer, from: number): void {
    write(this.#fd, all, from, (error, written) => {
      if (error === null && from + written < all.length) this.#writeFrom(all, from + written);
      else this.#written(error, all.length - from);
    });
  }

  #written(error: Error | null, bytes: number): void {
    if (error !== null && !this.#failing)
      this.#log(`tee ${this.path}: ${error.message}: ${bytes} bytes and more are lost`);
    this.#failing = error !== null;
    this.#writing = false;
    for (const gate of this.#shut) gate.open();
    this.#shut.clear();
    this.#write();
    this.#closeWhenDone();
  }

  #closeWhenDone(): void {
    if (this.#users > 0 || this.#writing || this.#fd < 0) return;
    close(this.#fd, () => {});
    this.#fd = -1;
  }
}
