/** One line of a terminal that says what goes on. In a pipe there is none: nobody waits there. */
import type { WriteStream } from "node:tty";

/** To the first column, and the line erased. Source: ECMA-48, EL. */
const CLEAR = "\r\u001b[K";

export class ProgressLine {
  readonly #terminal: Pick<WriteStream, "isTTY" | "columns" | "write">;
  #shown = false;

  constructor(terminal: Pick<WriteStream, "isTTY" | "columns" | "write">) {
    this.#terminal = terminal;
  }

  /** In place of the one before, as far as it fits. */
  show(text: string): void {
    if (!this.#terminal.isTTY) return;
    this.#terminal.write(`${CLEAR}${text.slice(0, this.#terminal.columns - 1)}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) this.#terminal.write(CLEAR);
    this.#shown = false;
  }
}
