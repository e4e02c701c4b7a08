/**
 * `mirror`: a copy of a share of the requests, as they are at this place of the chain, to another upstream, whose answers are read
 * and dropped. The request itself waits for nothing: its body passes as it comes, and what is copied of it is bounded; a
 * longer body, or too many copies under way, means no copy, which is counted. The copy leaves when the request is whole.
 */
import { FRAMING_LENGTH, FRAMING_NONE } from "#http/head.ts";
import { PassingStage, SAME_LENGTH } from "#pipeline/body.ts";
import { CONTINUE, HOOK_REQUEST_HEAD, type Exchange, type Verdict } from "#pipeline/filter.ts";
import type { Head } from "#http/head.ts";
import type { MirrorConfig } from "#snapshot/builtin-filters.ts";
import { BuiltinFilter, type BuiltinServices } from "./builtin-filter.ts";

type Fields = readonly (readonly [string, string])[];
/** `body`: null when there is to be no copy. */
type Done = (method: string, path: string, headers: Fields, body: Uint8Array | null) => void;

/** Written anew for the copy, or of the client's connection only. Others that are hop-by-hop are left out by the encoder. */
const NOT_COPIED = new Set(["content-length", "transfer-encoding", "expect", "upgrade", "connection"]);

export class MirrorFilter extends BuiltinFilter {
  readonly #config: MirrorConfig;
  readonly #services: BuiltinServices;
  readonly #counts = { mirror_requests: 0, mirror_failures: 0, mirror_skipped: 0 };
  #underWay = 0;

  constructor(config: MirrorConfig, services: BuiltinServices) {
    super("mirror", HOOK_REQUEST_HEAD);
    this.#config = config;
    this.#services = services;
  }

  override requestHead(exchange: Exchange): Verdict {
    const { percent, bodyBytesMax } = this.#config;
    if (percent < 100 && Math.random() * 100 >= percent) return CONTINUE;
    const { request } = exchange;
    const { framing, contentLength } = request;
    const isLong = framing === FRAMING_LENGTH && contentLength > bodyBytesMax;
    if (isLong || this.#underWay >= this.#config.concurrencyMax || request.get("upgrade") !== undefined) {
      this.#counts.mirror_skipped++;
      return CONTINUE;
    }
    this.#underWay++;
    const copy = new Copy(request, this.#config.host, (method, path, headers, body) => {
      if (body === null) this.#over("mirror_skipped");
      else void this.#send(method, path, headers, body);
    });
    if (framing === FRAMING_NONE || (framing === FRAMING_LENGTH && contentLength === 0)) copy.whole();
    else exchange.filterRequestBody(new CopyStage(copy, bodyBytesMax), SAME_LENGTH);
    return CONTINUE;
  }

  async #send(method: string, path: string, headers: Fields, body: Uint8Array): Promise<void> {
    const { upstream, timeoutMs } = this.#config;
    const asked = { method, path, headers, body, timeoutMs, ignoreAnswer: true };
    const { error } = await this.#services.fetch(upstream, asked);
    this.#over(error === "" ? "mirror_requests" : "mirror_failures");
  }

  #over(outcome: "mirror_requests" | "mirror_failures" | "mirror_skipped"): void {
    this.#counts[outcome]++;
    this.#underWay--;
  }

  override counters(): Readonly<Record<string, number>> {
    return { ...this.#counts, mirror_open: this.#underWay };
  }
}

/** One copy, taken when the request passed; told once, with its body, or null when there is to be none. */
class Copy {
  readonly #method: string;
  readonly #path: string;
  readonly #headers: Fields;
  readonly #chunks: Uint8Array[] = [];
  #done: Done | null;

  constructor(request: Head, host: string | undefined, done: Done) {
    this.#method = request.methodText();
    this.#path = request.pathText() + (request.hasQuery ? `?${request.queryText()}` : "");
    const kept = request.entries().filter(([name]) => !NOT_COPIED.has(name) && (host === undefined || name !== "host"));
    this.#headers = host === undefined ? kept : [["host", host], ...kept];
    this.#done = done;
  }

  add(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
  }

  whole(): void {
    this.#tell(Buffer.concat(this.#chunks));
  }

  drop(): void {
    this.#tell(null);
  }

  #tell(body: Uint8Array | null): void {
    this.#done?.(this.#method, this.#path, this.#headers, body);
    this.#done = null;
    this.#chunks.length = 0;
  }
}

class CopyStage extends PassingStage {
  readonly #copy: Copy;
  #left: number;

  constructor(copy: Copy, bodyBytesMax: number) {
    super();
    this.#copy = copy;
    this.#left = bodyBytesMax;
  }

  override data(buffer: number, start: number, end: number): void {
    this.#left -= end - start;
    if (this.#left >= 0) this.#copy.add(this.link.memory.slice(start, end));
    else this.#copy.drop();
    this.link.data(buffer, start, end);
  }

  override end(): void {
    this.#copy.whole();
    this.link.end();
  }

  /** The request was not read to its end. */
  override dispose(): void {
    this.#copy.drop();
  }
}
