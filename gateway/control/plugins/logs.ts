/**
 * What plugins say, for who listens: server-sent events. Workers keep their last lines; while somebody listens to a tenant they
 * are asked twice a second for what is new. Nobody listens: nobody is asked. Offsets of faults become lines of the source here,
 * where the module's source map is kept.
 */
import type { Logger } from "#control/logger.ts";
import type { LinesReply, LinesRequest } from "#control/protocol.ts";
import { SourceMap } from "./source-map.ts";

const ASK_EVERY_MS = 500;
const LISTENERS_MAX = 64;
const HEARTBEAT_MS = 15_000;
/** Of one listener that doesn't read: then the oldest is dropped. */
const WAITING_MAX = 1000;
/** Source maps that are kept read. */
const MAPS_MAX = 16;

export interface LogSources {
  lines(query: Omit<LinesRequest, "type" | "id">): Promise<LinesReply["workers"]>;
  /** Of a version's module; undefined: there is none. `plugin`: `token-check@1`. */
  sourceMap(tenant: string, plugin: string): string | undefined;
}

export interface LineFilter {
  readonly tenant: string;
  readonly plugin: string;
  /** Undefined: of all versions. */
  readonly version: string | undefined;
  /** False: what there is, and no more. */
  readonly follow: boolean;
}

/** As it is told. */
export interface ToldLine {
  readonly time: string;
  readonly worker: number;
  readonly level: string;
  readonly route: string;
  /** `token-check@1`. */
  readonly plugin: string;
  readonly message: string;
  /** Of a fault, in the module; and where that is in the source. */
  readonly offset?: number;
  readonly place?: string;
}

export class PluginLogs {
  readonly #sources: LogSources;
  readonly #log: Logger;
  readonly #streams = new Set<() => void>();
  readonly #maps = new Map<string, SourceMap | null>();

  constructor(sources: LogSources, log: Logger) {
    this.#sources = sources;
    this.#log = log;
  }

  /** As text/event-stream; ends when `allowed` is false. Undefined: as many as there may be are listening. */
  listen(filter: LineFilter, allowed: () => boolean): ReadableStream<Uint8Array> | undefined {
    if (this.#streams.size >= LISTENERS_MAX) return undefined;
    const encoder = new TextEncoder();
    const ended = Promise.withResolvers<void>();
    const end = () => ended.resolve();
    this.#streams.add(end);
    const lines = this.#follow(filter, allowed, ended.promise);
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          const { value, done } = await lines.next();
          if (done !== true) {
            controller.enqueue(encoder.encode(value));
            return;
          }
          this.#streams.delete(end);
          controller.close();
        },
        cancel: () => {
          this.#streams.delete(end);
          end();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** Ends every stream. */
  close(): void {
    for (const end of this.#streams) end();
  }

  async *#follow(filter: LineFilter, allowed: () => boolean, ended: Promise<void>): AsyncGenerator<string> {
    const after: Record<number, number> = {};
    let over = false;
    void ended.then(() => (over = true));
    let quietMs = 0;
    yield "retry: 1000\n\n";
    while (!over && allowed()) {
      const lines = (await this.#new(filter, after)).slice(-WAITING_MAX);
      if (lines.length > 0) yield lines.map((line) => `event: line\ndata: ${JSON.stringify(line)}\n\n`).join("");
      quietMs = lines.length > 0 ? 0 : quietMs + ASK_EVERY_MS;
      if (!filter.follow) return;
      if (quietMs >= HEARTBEAT_MS) {
        quietMs = 0;
        yield ": heartbeat\n\n";
      }
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS))]);
    }
  }

  async #new({ tenant, plugin, version }: LineFilter, after: Record<number, number>): Promise<ToldLine[]> {
    let workers: LinesReply["workers"];
    try {
      workers = await this.#sources.lines({ tenant, after });
    } catch (error) {
      this.#log.debug({ error: String(error) }, "the supervisor did not say what plugins say");
      return [];
    }
    const told: ToldLine[] = [];
    for (const { worker, lines } of workers) {
      after[worker] = lines.at(-1)?.number ?? after[worker] ?? 0;
      for (const line of lines) {
        const [name, ofVersion] = line.plugin.split("@");
        if (name !== plugin || (version !== undefined && ofVersion !== version)) continue;
        told.push({ time: new Date(line.timeMs).toISOString(), worker, ...this.#told(tenant, line) });
      }
    }
    return told.toSorted((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
  }

  #told(
    tenant: string,
    { level, route, plugin, message, offset }: LinesReply["workers"][number]["lines"][number],
  ): Omit<ToldLine, "time" | "worker"> {
    if (offset < 0) return { level, route, plugin, message };
    const place = this.#mapOf(tenant, plugin)?.placeOf(offset);
    const at = place === undefined ? {} : { place: `${place.file}:${place.line}:${place.column}` };
    return { level, route, plugin, message, offset, ...at };
  }

  #mapOf(tenant: string, plugin: string): SourceMap | null {
    const text = this.#sources.sourceMap(tenant, plugin);
    if (text === undefined) return null;
    const known = this.#maps.get(text);
    if (known !== undefined) return known;
    if (this.#maps.size >= MAPS_MAX) this.#maps.clear();
    const made = new SourceMap(text);
    this.#maps.set(text, made);
    return made;
  }
}
