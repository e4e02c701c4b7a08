/** `dump` and `print`: what passes is shown to the operator, in the log, and goes on as it was. For finding out, not for traffic. */
import type { Ending } from "#pipeline/events/ending.ts";
import type { Context } from "#pipeline/layout/context.ts";
import type { Scope } from "#pipeline/layout/scope.ts";
import { PipeFilter } from "./pipe-filter.ts";

/** What each line begins with. */
export type TagOf<C extends object> = string | ((context: Context<C>) => string);

const ROW_BYTES = 16;
/** Of one event: the rest is counted. */
const SHOWN_BYTES = 1024;

export class Dump<C extends object> extends PipeFilter<C> {
  readonly #tag: TagOf<C>;

  constructor(scope: Scope<C>, tag: TagOf<C>) {
    super(scope);
    this.#tag = tag;
  }

  override messageStart(head: object): void {
    this.#say(`MessageStart ${JSON.stringify(head)}`);
    this.output.messageStart(head);
  }

  override data(buffer: number, start: number, end: number): void {
    this.#say(`Data ${end - start} bytes`);
    const shown = Math.min(end, start + SHOWN_BYTES);
    for (let at = start; at < shown; at += ROW_BYTES) {
      const row = Buffer.from(this.memory.subarray(at, Math.min(shown, at + ROW_BYTES)));
      const hex = (row.toString("hex").match(/../g) ?? []).join(" ");
      const text = row.toString("latin1").replace(/[^\x20-\x7e]/g, ".");
      this.#say(`  ${(at - start).toString(16).padStart(4, "0")}  ${hex.padEnd(ROW_BYTES * 3 - 1)}  ${text}`);
    }
    if (shown < end) this.#say(`  … ${end - shown} more`);
    this.output.data(buffer, start, end);
  }

  override messageEnd(tail: object | null): void {
    this.#say(tail === null ? "MessageEnd" : `MessageEnd ${JSON.stringify(tail)}`);
    this.output.messageEnd(tail);
  }

  override streamEnd(ending: Ending): void {
    this.#say(`StreamEnd ${ending.code}`.trimEnd());
    this.output.streamEnd(ending);
  }

  #say(line: string): void {
    let tag: string;
    try {
      tag = typeof this.#tag === "function" ? this.#tag(this.scope.context) : this.#tag;
    } catch (error) {
      return this.scope.fail(error);
    }
    this.scope.runtime.log(tag === "" ? line : `${tag} ${line}`);
  }
}

/** Text as it comes, line by line; control characters as they would be written in a program. */
export class Print<C extends object> extends PipeFilter<C> {
  override data(buffer: number, start: number, end: number): void {
    const shown = Buffer.from(this.memory.subarray(start, Math.min(end, start + SHOWN_BYTES))).toString("utf8");
    for (const line of shown.split(/\r?\n/)) {
      if (line !== "") this.scope.runtime.log(JSON.stringify(line).slice(1, -1));
    }
    this.output.data(buffer, start, end);
  }
}
