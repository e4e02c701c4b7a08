/**
 * What a tenant's plugins have said last, for who asks: `penstock plugin logs`. Lines are numbered, so that who comes back gets
 * what is new; numbers of a later life of the process are larger. Old lines make room.
 */
import type { PluginLine } from "#worker/protocol.ts";

const LINES_MAX = 200;
/** Of all lines of one tenant. */
const CHARACTERS_MAX = 32_768;

export class RecentLines {
  readonly #lines: PluginLine[] = [];
  #characters = 0;
  #number = Date.now() * 1000;

  add(line: Omit<PluginLine, "number" | "timeMs">): void {
    this.#lines.push({ ...line, number: ++this.#number, timeMs: Date.now() });
    this.#characters += line.message.length;
    while (this.#lines.length > LINES_MAX || this.#characters > CHARACTERS_MAX) {
      this.#characters -= this.#lines.shift()?.message.length ?? this.#characters;
    }
  }

  after(number: number): PluginLine[] {
    return this.#lines.filter((line) => line.number > number);
  }
}
