/** A request head for router tests: text laid out in one memory, with nothing parsed. */
import { METHOD_GET, METHOD_OTHER, METHOD_POST, METHOD_PUT } from "#http/head.ts";
import { internName } from "#http/names.ts";
import type { RoutedHead } from "#router/routed-head.ts";
import type { RouteMatch, RouteSpec } from "#snapshot/snapshot.ts";

export interface RequestText {
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

const METHODS: Readonly<Record<string, number>> = { GET: METHOD_GET, PUT: METHOD_PUT, POST: METHOD_POST };

export class TestHead implements RoutedHead {
  readonly memory: Uint8Array;
  readonly method: number;
  readonly methodStart: number;
  readonly methodEnd: number;
  readonly pathStart: number;
  readonly pathEnd: number;
  readonly hostStart: number;
  readonly hostEnd: number;
  readonly #ids: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  constructor({ method = "GET", host = "", path = "/", headers = [] }: RequestText) {
    this.method = METHODS[method] ?? METHOD_OTHER;
    // Bytes that belong to nobody in front and between, so that a wrong offset does not go unseen.
    let bytes = Buffer.from("~");
    const place = (text: string): [number, number] => {
      const start = bytes.length;
      bytes = Buffer.concat([bytes, Buffer.from(text), Buffer.from("~")]);
      return [start, bytes.length - 1];
    };
    [this.methodStart, this.methodEnd] = place(method);
    [this.pathStart, this.pathEnd] = place(path);
    [this.hostStart, this.hostEnd] = place(host);
    for (const [name, value] of headers) {
      const [start, end] = place(value);
      this.#ids.push(internName(name));
      this.#starts.push(start);
      this.#ends.push(end);
    }
    this.memory = bytes;
  }

  find(nameId: number, from: number): number {
    return this.#ids.indexOf(nameId, from);
  }

  valueStart(index: number): number {
    return this.#starts[index] ?? 0;
  }

  valueEnd(index: number): number {
    return this.#ends[index] ?? 0;
  }
}

export interface RouteText {
  readonly name?: string;
  readonly listeners?: readonly number[];
  readonly hosts?: readonly string[];
  readonly exact?: string;
  readonly prefix?: string;
  readonly methods?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly order?: number;
}

export function route(text: RouteText): RouteSpec {
  const { exact, prefix = "/" } = text;
  const match: RouteMatch = {
    hosts: text.hosts ?? [],
    path: exact === undefined ? { kind: "prefix", value: prefix } : { kind: "exact", value: exact },
    methods: text.methods ?? [],
    headers: Object.entries(text.headers ?? {}).map(([name, value]) => ({ name, value })),
  };
  return {
    name: text.name ?? "r",
    tenant: "acme",
    listeners: text.listeners ?? [0],
    match,
    filters: [],
    action: { kind: "original" },
    order: text.order ?? 0,
  };
}
