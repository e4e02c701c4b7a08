/**
 * Gathers what a client sends until its ClientHello is whole. The bytes themselves stay where they were received, held by
 * whoever passes them on; here is a copy in one piece, which most clients send in the first place.
 */
import type { Buffers } from "#io/buffers.ts";
import { Carry } from "#net/carry.ts";
import { ClientHello, HELLO_MORE } from "#net/tls/client-hello.ts";

export type HelloRead = "more" | "whole" | "refused" | "no-buffers";

/** Read and left at once, so one serves all. */
const parsed = new ClientHello();

export class HelloReader {
  readonly #carry: Carry;
  readonly #memory: Uint8Array;
  /** Once `add` answers "whole": lower case; empty for none. */
  serverName = "";

  constructor(buffers: Buffers) {
    this.#carry = new Carry(buffers);
    this.#memory = buffers.memory;
  }

  /** Bytes `[start, end)` have come behind those of the calls before. */
  add(start: number, end: number): HelloRead {
    if (!this.#carry.active) {
      const read = this.#read(start, end);
      if (read !== "more") return read;
    }
    const copied = this.#carry.append(start, end);
    if (copied < 0) return "no-buffers";
    const read = this.#read(this.#carry.start, this.#carry.end);
    // A buffer is twice as large as the longest hello with its record headers: one that fills it is none.
    return read === "more" && copied < end - start ? "refused" : read;
  }

  clear(): void {
    this.#carry.clear();
  }

  #read(start: number, end: number): HelloRead {
    const result = parsed.read(this.#memory, start, end);
    if (result === HELLO_MORE) return "more";
    if (result < 0) return "refused";
    this.serverName = parsed.serverName;
    return "whole";
  }
}
