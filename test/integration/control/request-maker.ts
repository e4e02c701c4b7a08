/**
 * Requests made from an OpenAPI document by a seed: right ones, and ones with something wrong (a value of another type, a
 * field too many, one too few, bytes that are no JSON, another media type, a stale tag). Names are mostly of things that
 * are there, so that requests get beyond "no such thing".
 */
export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: Schema }>> };
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
  /** JSON pointer in the document; set here. */
  place: string;
}

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly schema: Schema;
}

export interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly tags: readonly { readonly name: string }[];
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

type Schema = Readonly<Record<string, unknown>>;

export interface Made {
  readonly operation: Operation;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

const NAMES = ["web", "api", "acme", "orders", "guard", "blocklist", "eth9", "new-one", "x"];
const TEXTS = [
  ...NAMES,
  "",
  "127.0.0.1:9001",
  "acme.example",
  "/orders",
  "1",
  "é\u0000",
  "a".repeat(300),
  "../..",
  "%",
];
/** What fits a field of this name. */
const FITTING: Readonly<Record<string, string>> = {
  address: "127.0.0.1:9001",
  hosts: "acme.example",
  prefix: "/orders",
  exact: "/orders",
  path: "/orders",
  listeners: "web",
  listener: "web",
  upstream: "api",
  tenant: "acme",
  blocklist: "blocklist",
  scopes: "read",
};
/** Decided by the path: said again they are mostly wrong. */
const DECIDED = new Set(["name", "tenant", "device"]);
const ODD: readonly unknown[] = [null, true, -1, 1.5, 1e300, "text", "", [], {}, [[]], { a: { b: [] } }, "\ud800"];
const DEPTH_MAX = 5;

export class RequestMaker {
  readonly #document: Document;
  readonly #operations: readonly { readonly operation: Operation; readonly method: string; readonly path: string }[];
  readonly #wasm: () => Uint8Array;
  #state: number;
  #made = 0;

  constructor(document: Document, seed: number, { wasm }: { readonly wasm: () => Uint8Array }) {
    this.#document = document;
    this.#state = seed;
    this.#wasm = wasm;
    this.#operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => {
        operation.place = `/paths/${encodeURIComponent(path.replaceAll("/", "~1"))}/${method}`;
        return { operation, method: method.toUpperCase(), path };
      }),
    );
  }

  /** Each operation in turn. `etag`: one that was seen. */
  next(etag: string): Made {
    const { operation, method, path } = this.#pick(this.#operations, this.#made++);
    const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(this.#segment(name)));
    const body = this.#body(operation);
    return {
      operation,
      method,
      path: `${filled}${this.#query(operation)}`,
      headers: { ...this.#conditions(etag), ...body.headers },
      ...(body.bytes === undefined ? {} : { body: body.bytes }),
    };
  }

  /** 0 ≤ n < 1. Source: mulberry32, in the public domain. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  #chance(part: number): boolean {
    return this.#random() < part;
  }

  #pick<T>(from: readonly T[], index = Math.floor(this.#random() * from.length)): T {
    return from[index % from.length] as T;
  }

  #segment(name: string): string {
    if (this.#chance(0.2)) return this.#pick(TEXTS) || "-";
    const fitting: Readonly<Record<string, string>> = {
      tenant: "acme",
      version: "1",
      number: "1",
      id: "first-start",
      map: "blocklist",
      key: "203.0.113.7",
      process: "worker-0",
      digest: "0".repeat(64),
    };
    return fitting[name] ?? this.#pick(NAMES);
  }

  #query({ parameters = [] }: Operation): string {
    const query = new URLSearchParams();
    for (const { name, in: place, schema } of parameters) {
      if (place !== "query" || this.#chance(0.6)) continue;
      query.append(name, this.#chance(0.2) ? this.#pick(TEXTS) : String(this.#value(schema, 0)));
    }
    if (this.#chance(0.03)) query.append(this.#pick(NAMES), "1");
    // Changes that nobody waits for are still under way when the next is asked for; most are only tried.
    if (parameters.some(({ name }) => name === "dryRun") && this.#chance(0.5)) query.set("dryRun", "true");
    const text = query.toString();
    return text === "" ? "" : `?${text}`;
  }

  #conditions(etag: string): Record<string, string> {
    const way = this.#random();
    if (way < 0.35) return { "if-match": "*" };
    if (way < 0.55) return { "if-none-match": "*" };
    if (way < 0.7 && etag !== "") return { "if-match": etag };
    if (way < 0.8) return { "if-match": '"stale"' };
    return this.#chance(0.2) ? { "idempotency-key": this.#pick(NAMES) } : {};
  }

  #body({ requestBody }: Operation): { headers: Record<string, string>; bytes?: string | Uint8Array } {
    if (requestBody === undefined) return { headers: {} };
    const [type, { schema }] = this.#pick(Object.entries(requestBody.content));
    const sent = this.#chance(0.05) ? this.#pick(["text/plain", "application/xml", "nonsense"]) : type;
    const headers = { "content-type": sent };
    if (this.#chance(0.04)) return { headers, bytes: this.#pick(["", "{", "[", "nul", "{}}", '{"a":1,"a":2}']) };
    if (type === "application/wasm") return { headers, bytes: this.#chance(0.8) ? this.#wasm() : "no module" };
    const value = schema === undefined ? this.#pick(ODD) : this.#value(schema, 0);
    return { headers, bytes: JSON.stringify(this.#chance(0.05) ? this.#pick(ODD) : value) };
  }

  #value(schema: Schema, depth: number, field = ""): unknown {
    if (depth > 0 && this.#chance(0.04)) return this.#pick(ODD);
    if (typeof schema["$ref"] === "string") return this.#value(this.#referred(schema["$ref"]), depth, field);
    if ("const" in schema) return schema["const"];
    if (Array.isArray(schema["enum"])) return this.#pick(schema["enum"]);
    for (const key of ["anyOf", "oneOf", "allOf"]) {
      const options = schema[key];
      if (Array.isArray(options)) return this.#value(this.#pick(options) as Schema, depth, field);
    }
    switch (schema["type"]) {
      case "object":
        return this.#object(schema, depth);
      case "array":
        return this.#array(schema, depth, field);
      case "integer":
      case "number":
        return this.#number(schema);
      case "boolean":
        return this.#chance(0.5);
      default:
        if (field in FITTING && this.#chance(0.9)) return FITTING[field];
        return this.#pick(this.#chance(0.7) ? NAMES : TEXTS);
    }
  }

  #referred(reference: string): Schema {
    const name = reference.split("/").at(-1) ?? "";
    return this.#document.components.schemas[name] ?? {};
  }

  #object(schema: Schema, depth: number): unknown {
    const properties = Object.entries((schema["properties"] ?? {}) as Readonly<Record<string, Schema>>);
    const required = new Set((schema["required"] ?? []) as readonly string[]);
    const made: Record<string, unknown> = {};
    for (const [name, of] of properties) {
      const least = depth === 0 && DECIDED.has(name) ? 0.2 : 0.98;
      const wanted = required.has(name) ? this.#chance(least) : depth < DEPTH_MAX && this.#chance(0.15);
      if (wanted) made[name] = this.#value(of, depth + 1, name);
    }
    if (this.#chance(0.03)) made["adress"] = this.#pick(ODD);
    return made;
  }

  #array({ items, minItems }: Schema, depth: number, field: string): unknown[] {
    const least = typeof minItems === "number" ? minItems : 0;
    const count = depth >= DEPTH_MAX ? least : least + Math.floor(this.#random() * 3);
    return Array.from({ length: count }, () => this.#value((items ?? {}) as Schema, depth + 1, field));
  }

  #number({ minimum, maximum }: Schema): number {
    const low = typeof minimum === "number" ? minimum : 0;
    const high = typeof maximum === "number" ? maximum : 1000;
    const edge = this.#random();
    if (edge < 0.1) return low - 1;
    if (edge < 0.2) return high + 1;
    return low + Math.floor(this.#random() * Math.min(high - low + 1, 1000));
  }
}
