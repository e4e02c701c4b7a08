/**
 * A host for plugins in Node alone: it runs a module's hooks over plain requests, responses and streams, and remembers what the
 * module did. It follows the same table of host calls as the gateway; a test of the gateway runs the same cases on both.
 *
 * What it does not do: fuel, unless the module is a metered one, and then without what the gateway charges for its own
 * work in a host call; suspending (a fetch is answered at once); budgets.
 */
import {
  ABI_FUNCTIONS,
  ACTION_PAUSE,
  ACTION_REPLY,
  EXPORT_MEMORY,
  HEAD_REQUEST,
  HEAD_REQUEST_TRAILERS,
  HEAD_RESPONSE,
  IMPORT_MODULE,
} from "#sdk/types/abi.ts";
import { addressBytes } from "./addresses.ts";
import { bytesOfText } from "./bytes.ts";
import { makeCalls } from "./fake-calls.ts";
import { FakeHeaders } from "./fake-headers.ts";
import { FakeMap } from "./fake-map.ts";
import { FakeTrailers } from "./fake-trailers.ts";
import type { Exchange, FakeAnswer, FakeConversation, FakeEntry, FakeReply, FakeState } from "./fake-state.ts";
import type { FakeHostOptions, FakeRequest, FakeResponse, FakeStream, Outcome } from "./fake-types.ts";

type Hook = ((...args: number[]) => number) | undefined;

/** Of one hook, as a route grants it that says nothing. */
const DEFAULT_FUEL = 1_000_000;
const CONFIGURE_FUEL = 5_000_000;
const NOTHING = new Uint8Array(0);

export class FakeHost implements FakeState {
  readonly config: ReadonlyMap<string, string>;
  readonly maps: ReadonlyMap<string, FakeMap>;
  readonly upstreams: NonNullable<FakeHostOptions["upstreams"]>;
  readonly connections: Readonly<Record<string, FakeConversation>>;
  readonly plugin: string;
  /** Header names by id − 1. */
  readonly names: string[] = [];
  readonly entries = new Map<string, FakeEntry>();
  readonly series = new Map<string, number>();
  readonly bans = new Map<string, number>();
  exchange: Exchange | null = null;
  window: Uint8Array = NOTHING;
  skipsBody = false;
  open: FakeState["open"] = [];
  keyValueVersion = 0;
  tickMs = 0;
  message: Uint8Array = NOTHING;
  answer: Uint8Array = NOTHING;
  reply: FakeReply | null = null;
  replyHeaders: [string, string][] = [];
  fetchHeaders: [string, string][] = [];
  fetched: FakeAnswer | null = null;
  logs: string[] = [];
  fetches: string[] = [];
  fetchBodies: string[] = [];
  #calls: string[] = [];
  readonly #fuel: number;
  readonly #exports: Record<string, unknown>;

  /** Instantiates and configures; throws when the plugin does not accept that. */
  constructor(wasm: Uint8Array, options: FakeHostOptions = {}) {
    this.config = new Map(Object.entries(options.config ?? {}));
    this.maps = new Map(Object.entries(options.maps ?? {}).map(([name, spec]) => [name, new FakeMap(spec)]));
    this.upstreams = options.upstreams ?? {};
    this.connections = options.connections ?? {};
    this.plugin = options.plugin ?? "plugin@1";
    for (const [key, value] of Object.entries(options.entries ?? {})) {
      this.entries.set(key, { value: bytesOfText(value), version: 1 });
    }
    this.#fuel = options.fuel ?? DEFAULT_FUEL;
    const module = new WebAssembly.Module(new Uint8Array(wasm));
    const bound: Record<string, unknown> = {};
    for (const [name, call] of Object.entries(makeCalls(this))) {
      bound[name] = (...args: (number | bigint)[]) => {
        this.#calls.push(name);
        return (call as (...all: (number | bigint)[]) => unknown)(...args);
      };
    }
    for (const entry of WebAssembly.Module.imports(module)) {
      if (entry.module === IMPORT_MODULE && entry.name in ABI_FUNCTIONS) continue;
      throw new TypeError(`unknown import ${entry.module}.${entry.name}`);
    }
    this.#exports = new WebAssembly.Instance(module, { [IMPORT_MODULE]: bound }).exports;
    this.#refuel(CONFIGURE_FUEL);
    this.#hook("__penstock_start")?.();
    if ((this.#hook("on_configure")?.() ?? 0) !== 0) throw new Error(this.logs.at(-1) ?? "on_configure refused");
  }

  get bytes(): Uint8Array {
    return new Uint8Array((this.#exports[EXPORT_MEMORY] as WebAssembly.Memory).buffer);
  }

  /** The headers that a head number of the interface means. */
  headersOf(head: number): FakeHeaders {
    const { exchange } = this;
    if (exchange === null) throw new Error("there is no exchange");
    if (head === HEAD_REQUEST) return exchange.request;
    if (head === HEAD_RESPONSE) return exchange.response;
    return head === HEAD_REQUEST_TRAILERS ? exchange.requestTrailers : exchange.responseTrailers;
  }

  begin(request: FakeRequest, stream: FakeStream = {}): Exchange {
    const host = request.host ?? "example.com";
    const client = request.client ?? stream.client ?? "203.0.113.7";
    const head = new FakeHeaders({ host, ...request.headers });
    const response = new FakeHeaders({});
    return {
      request: head,
      response,
      requestTrailers: new FakeTrailers(head).receive(request.trailers ?? {}),
      responseTrailers: new FakeTrailers(response),
      method: request.method ?? "GET",
      target: request.path ?? "/",
      host,
      scheme: request.scheme ?? stream.protocol ?? "http",
      client,
      clientBytes: addressBytes(client),
      status: 0,
      kept: NOTHING,
      properties: { ...request.properties, ...stream.properties },
      measures: { ...request.measures, ...stream.measures },
      route: null,
    };
  }

  /** The hooks of a request: its head, its body, its end. */
  request(exchange: Exchange, { body }: FakeRequest = {}): Outcome {
    const head = this.#run("on_request", exchange);
    if (head.verdict !== "continue" && head.verdict !== "pause") return head;
    return this.#body(exchange, "on_request", head, body);
  }

  response(exchange: Exchange, response: FakeResponse): Outcome {
    exchange.status = response.status ?? 200;
    exchange.response.fields.push(...new FakeHeaders(response.headers ?? {}).fields);
    exchange.responseTrailers.receive(response.trailers ?? {});
    const head = this.#run("on_response", exchange);
    return head.verdict === "continue" || head.verdict === "pause"
      ? this.#body(exchange, "on_response", head, response.body)
      : head;
  }

  end(exchange: Exchange): Outcome {
    return this.#run("on_end", exchange);
  }

  /** A stream from its beginning to its end; what passed is in `requestBody` (to the upstream) and `responseBody`. */
  stream(exchange: Exchange, { data = [] }: FakeStream): Outcome {
    let outcome = this.#run("on_connection", exchange);
    const passed: [Uint8Array, Uint8Array] = [NOTHING, NOTHING];
    const waiting: [Uint8Array, Uint8Array] = [NOTHING, NOTHING];
    for (const [at, piece] of data.entries()) {
      if (outcome.verdict === "reply" || outcome.verdict === "fault" || !this.has("on_data")) break;
      const direction = piece.from === "client" ? 0 : 1;
      this.window = Buffer.concat([waiting[direction], bytesOfText(piece.bytes)]);
      const last = !data.slice(at + 1).some((other) => other.from === piece.from);
      const before = outcome.fuel ?? 0;
      const next = this.#run("on_data", exchange, direction, last ? 1 : 0);
      outcome = { ...next, fuel: next.fuel === null ? null : Math.max(before, next.fuel) };
      waiting[direction] = next.verdict === "pause" ? this.window : NOTHING;
      if (next.verdict === "continue") passed[direction] = Buffer.concat([passed[direction], this.window]);
    }
    const verdict = outcome.verdict === "pause" ? "continue" : outcome.verdict;
    return { ...outcome, verdict, requestBody: passed[0], responseBody: passed[1] };
  }

  tick(): Outcome {
    return this.#run("on_tick", null);
  }

  tell(message: string): Outcome {
    this.message = bytesOfText(message);
    return this.#run("on_message", null);
  }

  has(hook: string): boolean {
    return this.#hook(hook) !== undefined;
  }

  #body(exchange: Exchange, head: "on_request" | "on_response", first: Outcome, body: FakeRequest["body"]): Outcome {
    const side = head === "on_request" ? "requestBody" : "responseBody";
    const chunks = [body ?? []].flat();
    const skipped = this.skipsBody || (chunks.length === 0 && first.verdict !== "pause");
    if (skipped) return { ...first, verdict: "continue" };
    let outcome = first;
    let passed: Uint8Array = NOTHING;
    let waiting: Uint8Array = NOTHING;
    for (let at = 0; at <= chunks.length; at++) {
      const chunk = bytesOfText(chunks[at] ?? "");
      this.window = Buffer.concat([waiting, chunk]);
      const last = at === chunks.length;
      outcome = this.#run(`${head}_body`, exchange, last ? 1 : 0);
      if (outcome.verdict === "reply" || outcome.verdict === "fault") return { ...outcome, [side]: passed };
      waiting = outcome.verdict === "pause" && !last ? this.window : NOTHING;
      if (waiting.length === 0) passed = Buffer.concat([passed, this.window]);
    }
    if (chunks.length > 0 && this.has(`${head}_end`)) outcome = this.#run(`${head}_end`, exchange);
    return { ...outcome, verdict: outcome.verdict === "pause" ? "continue" : outcome.verdict, [side]: passed };
  }

  #hook(name: string): Hook {
    return this.#exports[name] as Hook;
  }

  #refuel(fuel: number): void {
    (this.#exports.__penstock_refuel as ((fuel: number) => void) | undefined)?.(fuel);
  }

  #run(hook: string, exchange: Exchange | null, ...args: number[]): Outcome {
    this.exchange = exchange;
    this.reply = null;
    this.replyHeaders = [];
    this.fetchHeaders = [];
    this.fetched = null;
    this.logs = [];
    this.fetches = [];
    this.fetchBodies = [];
    this.open = [];
    this.skipsBody = false;
    this.answer = NOTHING;
    this.#calls = [];
    this.#refuel(this.#fuel);
    let action = 0;
    let fault: string | null = null;
    try {
      action = this.#hook(hook)?.(...args) ?? 0;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    const left = this.#hook("__penstock_fuel")?.();
    const stream = hook === "on_connection" || hook === "on_data";
    if (fault === null && action === ACTION_REPLY && this.reply === null && !stream) fault = "REPLY without a reply";
    this.exchange = null;
    return this.#outcome(exchange, action, fault, left === undefined ? null : this.#fuel - left);
  }

  #outcome(exchange: Exchange | null, action: number, fault: string | null, fuel: number | null): Outcome {
    const verdict = action === ACTION_REPLY ? "reply" : action === ACTION_PAUSE ? "pause" : "continue";
    return {
      verdict: fault === null ? verdict : "fault",
      reply: fault === null && verdict === "reply" ? this.reply : null,
      request: exchange?.request.fields ?? [],
      response: exchange?.response.fields ?? [],
      requestTrailers: exchange?.requestTrailers.fields ?? [],
      responseTrailers: exchange?.responseTrailers.fields ?? [],
      requestBody: null,
      responseBody: null,
      status: exchange?.status ?? 0,
      target: exchange?.target ?? "",
      route: exchange?.route ?? null,
      logs: this.logs,
      calls: this.#calls,
      fetches: this.fetches,
      fetchBodies: this.fetchBodies,
      sent: this.open.flatMap(({ upstream, sent }) => sent.map((text) => `${upstream} ${text}`)),
      answer: this.answer,
      fuel,
      fault,
    };
  }
}
