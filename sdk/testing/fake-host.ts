/**
 * A host for plugins in Node alone: it runs a module's hooks over plain requests and responses, and remembers what the
 * module did. It follows the same table of host calls as the gateway; a test of the gateway runs the same cases on both.
 *
 * What it does not do: fuel, unless the module is a metered one, and then without what the gateway charges for its own
 * work in a host call; suspending (a fetch is answered at once); budgets.
 */
import { ABI_FUNCTIONS, ACTION_REPLY, EXPORT_MEMORY, HEAD_REQUEST, IMPORT_MODULE } from "#sdk/types/abi.ts";
import { addressBytes } from "./addresses.ts";
import { makeCalls } from "./fake-calls.ts";
import { FakeHeaders } from "./fake-headers.ts";
import { FakeMap, type FakeMapSpec } from "./fake-map.ts";
import type { Exchange, FakeAnswer, FakeReply, FakeState } from "./fake-state.ts";

export interface FakeRequest {
  readonly method?: string;
  /** With query. */
  readonly path?: string;
  readonly host?: string;
  readonly scheme?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Client's address. */
  readonly client?: string;
}

export interface FakeResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
}

export interface FakeHostOptions {
  readonly config?: Readonly<Record<string, string>>;
  /** Maps that the plugin may open. */
  readonly maps?: Readonly<Record<string, FakeMapSpec>>;
  /** Upstreams that the plugin may fetch from, and what they answer by path; `*` for every other path. */
  readonly upstreams?: Readonly<Record<string, Readonly<Record<string, FakeAnswer>>>>;
  /** Fuel of one hook, for metered modules. */
  readonly fuel?: number;
}

/** What one hook did. */
export interface Outcome {
  readonly verdict: "continue" | "reply" | "fault";
  readonly reply: FakeReply | null;
  /** Headers after the hook. */
  readonly request: readonly (readonly [string, string])[];
  readonly response: readonly (readonly [string, string])[];
  readonly status: number;
  /** Path and query after the hook. */
  readonly target: string;
  readonly logs: readonly string[];
  /** Host calls in order. */
  readonly calls: readonly string[];
  readonly fetches: readonly string[];
  /** Used by the hook; null when the module is not metered. */
  readonly fuel: number | null;
  /** Message of the trap. */
  readonly fault: string | null;
}

type Hook = (() => number) | undefined;

const DEFAULT_FUEL = 200_000;

export class FakeHost implements FakeState {
  readonly config: ReadonlyMap<string, string>;
  readonly maps: ReadonlyMap<string, FakeMap>;
  readonly upstreams: NonNullable<FakeHostOptions["upstreams"]>;
  /** Header names by id − 1. */
  readonly names: string[] = [];
  exchange: Exchange | null = null;
  reply: FakeReply | null = null;
  replyHeaders: [string, string][] = [];
  fetchHeaders: [string, string][] = [];
  fetched: FakeAnswer | null = null;
  logs: string[] = [];
  fetches: string[] = [];
  #calls: string[] = [];
  readonly #fuel: number;
  readonly #exports: Record<string, unknown>;

  /** Instantiates and configures; throws when the plugin does not accept that. */
  constructor(wasm: Uint8Array, options: FakeHostOptions = {}) {
    this.config = new Map(Object.entries(options.config ?? {}));
    this.maps = new Map(Object.entries(options.maps ?? {}).map(([name, spec]) => [name, new FakeMap(spec)]));
    this.upstreams = options.upstreams ?? {};
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
    this.#refuel(100 * DEFAULT_FUEL);
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
    return head === HEAD_REQUEST ? exchange.request : exchange.response;
  }

  begin(request: FakeRequest): Exchange {
    const host = request.host ?? "example.com";
    const client = request.client ?? "203.0.113.7";
    const exchange: Exchange = {
      request: new FakeHeaders({ host, ...request.headers }),
      response: new FakeHeaders({}),
      method: request.method ?? "GET",
      target: request.path ?? "/",
      host,
      scheme: request.scheme ?? "http",
      client,
      clientBytes: addressBytes(client),
      status: 0,
    };
    return exchange;
  }

  request(exchange: Exchange): Outcome {
    return this.#run("on_request", exchange);
  }

  response(exchange: Exchange, response: FakeResponse): Outcome {
    exchange.status = response.status ?? 200;
    for (const [name, value] of new FakeHeaders(response.headers ?? {}).fields) exchange.response.add(name, value);
    return this.#run("on_response", exchange);
  }

  end(exchange: Exchange): Outcome {
    return this.#run("on_end", exchange);
  }

  has(hook: string): boolean {
    return this.#hook(hook) !== undefined;
  }

  #hook(name: string): Hook {
    return this.#exports[name] as Hook;
  }

  #refuel(fuel: number): void {
    (this.#exports.__penstock_refuel as ((fuel: number) => void) | undefined)?.(fuel);
  }

  #run(hook: "on_request" | "on_response" | "on_end", exchange: Exchange): Outcome {
    this.exchange = exchange;
    this.reply = null;
    this.replyHeaders = [];
    this.fetchHeaders = [];
    this.fetched = null;
    this.logs = [];
    this.fetches = [];
    this.#calls = [];
    this.#refuel(this.#fuel);
    let action = 0;
    let fault: string | null = null;
    try {
      action = this.#hook(hook)?.() ?? 0;
    } catch (error) {
      fault = error instanceof Error ? error.message : String(error);
    }
    const left = this.#hook("__penstock_fuel")?.();
    const replied = action === ACTION_REPLY;
    if (fault === null && replied && this.reply === null) fault = "REPLY without a reply";
    this.exchange = null;
    return {
      verdict: fault === null ? (replied ? "reply" : "continue") : "fault",
      reply: replied && fault === null ? this.reply : null,
      request: exchange.request.fields,
      response: exchange.response.fields,
      status: exchange.status,
      target: exchange.target,
      logs: this.logs,
      calls: this.#calls,
      fetches: this.fetches,
      fuel: left === undefined ? null : this.#fuel - left,
      fault,
    };
  }
}
