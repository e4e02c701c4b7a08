/**
 * The access log of one worker: lines are gathered in one buffer and written in the background, one write at a time.
 * When the reader is slower than the traffic, lines are dropped and counted; a request never waits for its line.
 */
import { write } from "node:fs";
import type { AccessEntry } from "./access-entry.ts";
import { compiledTemplate } from "./access-template.ts";

/** How what has no status ends when nothing went wrong: tunnels and streams. */
const WELL: ReadonlySet<string> = new Set(["ok", "tunnel", "closed"]);

export interface AccessLogForm {
  readonly format: "off" | "json" | "text" | "template";
  /** Of `template`. */
  readonly template?: string | undefined;
  /** Of the exchanges that went well, as they are logged; absent: all. */
  readonly percent?: number | undefined;
}

/** Two buffers of this size: one fills while the other is being written. */
const BUFFER_BYTES = 256 * 1024;
/** The longest line: a target of the greatest length allowed, escaped, and the rest. */
const LINE_BYTES_MAX = 80 * 1024;
/** A pipe that is full and does not block: until the next try. */
const RETRY_MS = 20;

export class AccessLog {
  readonly #fd: number;
  #filling = Buffer.allocUnsafe(BUFFER_BYTES);
  #writing = Buffer.allocUnsafe(BUFFER_BYTES);
  #filled = 0;
  #fillingLines = 0;
  #writingLines = 0;
  #busy = false;
  #render: ((entry: AccessEntry) => string) | null = null;
  /** Of the exchanges that went well, as a part. */
  #share = 1;
  #sampled = 0;
  dropped = 0;

  readonly #schedule: () => void;

  /** `schedule`: asked, when a first line has gathered, to call `flush` after a while. */
  constructor(fd: number, schedule: () => void) {
    this.#fd = fd;
    this.#schedule = schedule;
  }

  get enabled(): boolean {
    return this.#render !== null;
  }

  configure({ format, template, percent = 100 }: AccessLogForm): void {
    this.#share = percent / 100;
    if (format === "template") this.#render = compiledTemplate(template ?? "");
    else this.#render = format === "off" ? null : format === "json" ? jsonLine : textLine;
  }

  add(entry: AccessEntry): void {
    const render = this.#render;
    if (render === null || !this.#isWanted(entry)) return;
    if (this.#filled > BUFFER_BYTES - LINE_BYTES_MAX) {
      this.flush();
      if (this.#filled > BUFFER_BYTES - LINE_BYTES_MAX) {
        this.dropped++;
        return;
      }
    }
    const line = render(entry);
    if (this.#filled === 0) this.#schedule();
    this.#fillingLines++;
    this.#filled += this.#filling.write(line, this.#filled, "utf8");
  }

  /** Every so many of what went well; all of what did not. Evenly, so that the lines times their share are the requests. */
  #isWanted({ status, outcome }: AccessEntry): boolean {
    if (this.#share >= 1 || status >= 500 || (status === 0 && !WELL.has(outcome))) return true;
    this.#sampled += this.#share;
    if (this.#sampled < 1) return false;
    this.#sampled -= 1;
    return true;
  }

  /** Starts to write what has gathered, unless a write is under way. */
  flush(): void {
    if (this.#busy || this.#filled === 0) return;
    const bytes = this.#filled;
    [this.#filling, this.#writing] = [this.#writing, this.#filling];
    this.#filled = 0;
    this.#writingLines = this.#fillingLines;
    this.#fillingLines = 0;
    this.#busy = true;
    this.#write(0, bytes);
  }

  #write(from: number, to: number): void {
    write(this.#fd, this.#writing, from, to - from, (error, written) => {
      if (error?.code === "EAGAIN") {
        setTimeout(() => this.#write(from, to), RETRY_MS);
      } else if (error === null && from + written < to) {
        this.#write(from + written, to);
      } else {
        if (error !== null) this.dropped += this.#writingLines;
        this.#busy = false;
        // Lines that came meanwhile were told to wait.
        if (this.#filled > 0) this.#schedule();
      }
    });
  }
}

function jsonLine(entry: AccessEntry): string {
  const { timeMs, durationMs, requestId, ...rest } = entry;
  const time = new Date(timeMs).toISOString();
  const id = requestId === "" ? {} : { requestId };
  return `${JSON.stringify({ time, ...rest, durationMs: Math.round(durationMs * 1000) / 1000, ...id })}\n`;
}

/** `time client "method host target" status bytes duration route upstream outcome`, and the request's id if it has one. */
function textLine(entry: AccessEntry): string {
  const time = new Date(entry.timeMs).toISOString();
  const request = JSON.stringify(`${entry.method} ${entry.host} ${entry.target}`);
  const id = entry.requestId === "" ? "" : ` ${entry.requestId}`;
  const tail = `${entry.route || "-"} ${entry.upstream || "-"} ${entry.outcome}${id}`;
  return `${time} ${entry.client} ${request} ${entry.status} ${entry.responseBytes} ${entry.durationMs.toFixed(1)}ms ${tail}\n`;
}
