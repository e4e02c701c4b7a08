/**
 * What happens, as it happens, for who listens: the rows of the audit log, and workers that end or come back.
 *
 * Rows are read from the store whenever there may be new ones, so a slow listener holds up nobody and costs no memory,
 * and one that comes back with the number of the last row it saw misses none. Workers are not remembered: their events
 * have no number, and go to who listens at the time. The supervisor is asked about them only while somebody listens.
 */
import type { AuditRow } from "./audit-chain.ts";
import type { Logger } from "./logger.ts";
import type { GatewayStatus, WorkerStatus } from "./gateway-status.ts";

interface EventSources {
  /** Oldest first, those above `after`, at most `limit`. */
  auditRows(after: number, limit: number): readonly AuditRow[];
  status(): Promise<GatewayStatus>;
}

interface EventTimes {
  /** Proxies cut connections on which nothing happens, the strictest after 30 s. */
  readonly heartbeatMs: number;
  readonly workersMs: number;
}

const TIMES: EventTimes = { heartbeatMs: 15_000, workersMs: 1000 };
const LISTENERS_MAX = 64;
const ROWS_AT_ONCE = 100;
/** Of workers, for one listener that doesn't read: then the oldest is dropped. */
const WAITING_MAX = 100;

interface Listener {
  after: number;
  /** Of workers, rendered. */
  readonly waiting: string[];
  wake: PromiseWithResolvers<void>;
}

export class Events {
  readonly #sources: EventSources;
  readonly #log: Logger;
  readonly #times: EventTimes;
  readonly #listeners = new Set<Listener>();
  #workers: ReadonlyMap<number, WorkerStatus> | undefined;
  #watch: NodeJS.Timeout | undefined;
  #looking = false;
  #closed = false;

  constructor(sources: EventSources, log: Logger, times: EventTimes = TIMES) {
    this.#sources = sources;
    this.#log = log;
    this.#times = times;
  }

  /** The log may have new rows. */
  changed(): void {
    for (const { wake } of this.#listeners) wake.resolve();
  }

  /**
   * The rows after number `after`, and what follows, as text/event-stream. Ends when `allowed` is false, asked before
   * each event, or by `close`. Undefined: as many as there may be are listening.
   */
  listen(after: number, allowed: () => boolean): ReadableStream<Uint8Array> | undefined {
    if (this.#closed || this.#listeners.size >= LISTENERS_MAX) return undefined;
    const listener: Listener = { after, waiting: ["retry: 1000\n\n"], wake: Promise.withResolvers() };
    this.#listeners.add(listener);
    this.#beginToLook();
    const encoder = new TextEncoder();
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const text = await this.#next(listener, allowed);
          if (text !== undefined) {
            controller.enqueue(encoder.encode(text));
            return;
          }
          this.#forget(listener);
          controller.close();
        },
        cancel: () => this.#forget(listener),
      },
      // Nothing is made before it is asked for.
      { highWaterMark: 0 },
    );
  }

  /** Ends every stream: an open one would hold up the server's end. */
  close(): void {
    this.#closed = true;
    this.changed();
  }

  /** Undefined: there is no next one. */
  async #next(listener: Listener, allowed: () => boolean): Promise<string | undefined> {
    for (;;) {
      if (this.#closed || !this.#listeners.has(listener) || !allowed()) return undefined;
      const rows = this.#sources.auditRows(listener.after, ROWS_AT_ONCE);
      const text = listener.waiting.splice(0).join("") + rows.map(rendered).join("");
      listener.after = rows.at(-1)?.number ?? listener.after;
      if (text !== "") return text;
      // No await since the rows were read: what changes from here on wakes this one.
      listener.wake = Promise.withResolvers();
      const slept = Promise.withResolvers<"heartbeat">();
      const timer = setTimeout(() => slept.resolve("heartbeat"), this.#times.heartbeatMs);
      const woken = await Promise.race([listener.wake.promise, slept.promise]);
      clearTimeout(timer);
      if (woken === "heartbeat" && allowed()) return ": heartbeat\n\n";
    }
  }

  #beginToLook(): void {
    if (this.#watch !== undefined) return;
    this.#watch = setInterval(() => void this.#lookAtWorkers(), this.#times.workersMs);
    // At once: what happens within the first interval must have something to be compared with.
    void this.#lookAtWorkers();
  }

  #forget(listener: Listener): void {
    this.#listeners.delete(listener);
    listener.wake.resolve();
    if (this.#listeners.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
    this.#workers = undefined;
  }

  async #lookAtWorkers(): Promise<void> {
    // A supervisor that is slow to answer is not asked again meanwhile.
    if (this.#looking) return;
    this.#looking = true;
    let workers: readonly WorkerStatus[];
    try {
      ({ workers } = await this.#sources.status());
    } catch (error) {
      this.#log.debug({ error: String(error) }, "the supervisor did not say how its workers are");
      return;
    } finally {
      this.#looking = false;
    }
    // Who asked is gone: kept, this would be what the next one's first look is compared with.
    if (this.#watch === undefined) return;
    const before = this.#workers;
    this.#workers = new Map(workers.map((one) => [one.worker, one]));
    // The first look only says what is there.
    if (before === undefined) return;
    for (const one of workers) {
      const was = before.get(one.worker);
      if (was?.pid === one.pid && was.state === one.state && was.restarts === one.restarts) continue;
      const { worker, pid, state, restarts } = one;
      this.#tell(`event: worker\ndata: ${JSON.stringify({ worker, pid, state, restarts })}\n\n`);
    }
  }

  #tell(text: string): void {
    for (const { waiting, wake } of this.#listeners) {
      if (waiting.length === WAITING_MAX) waiting.shift();
      waiting.push(text);
      wake.resolve();
    }
  }
}

/** JSON has no line feeds of its own: one `data` line. Source: HTML Living Standard, 9.2.6. */
function rendered(row: AuditRow): string {
  const event = row.revision === 0 ? "change" : "revision";
  return `id: ${row.number}\nevent: ${event}\ndata: ${JSON.stringify({ ...row, hash: undefined })}\n\n`;
}
