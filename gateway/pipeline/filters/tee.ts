/** `tee`: a copy of all bytes for a file, and the stream goes on as it was. */
import { Gate } from "#pipeline/flow.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import type { OutputFile } from "#pipeline/sockets/output-file.ts";
import { PipeFilter } from "./pipe-filter.ts";

export class Tee<C extends object> extends PipeFilter<C> {
  readonly #file: OutputFile;
  readonly #gate: Gate;

  constructor(scope: Scope<C>, file: OutputFile) {
    super(scope);
    this.#file = file;
    this.#gate = new Gate(scope.runtime.flow);
    file.retain();
  }

  override data(buffer: number, start: number, end: number): void {
    this.#file.append(this.memory.subarray(start, end), this.#gate);
    this.output.data(buffer, start, end);
  }

  override dispose(): void {
    this.#gate.open();
    this.#file.release();
  }
}
