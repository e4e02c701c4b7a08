/** A request as text, through one built-in filter. */
import { parseIp } from "#core/address.ts";
import { defined } from "#core/assert.ts";
import type { FetchRequest, FetchResponse, Filter, SharedMap, Verdict } from "#pipeline/filter.ts";
import { FileRoots } from "#worker/file-roots.ts";
import { ownBucketTable, type BucketTable } from "#plugins/bucket-table.ts";
import type { BuiltinServices } from "#plugins/builtin-filter.ts";
import { createBuiltinFilter } from "#plugins/create-filter.ts";
import type { BuiltinConfigs, BuiltinFilterSpec, BuiltinName } from "#snapshot/builtin-filters.ts";
import { TestExchange } from "#test/support/wasm.ts";

export class Clock implements BuiltinServices {
  ms = 1000;
  readonly limits: BucketTable;
  constructor(limits = ownBucketTable(1 << 10)) {
    this.limits = limits;
  }
  sharedMs(): number {
    return this.ms;
  }
  nowMs(): number {
    return this.ms;
  }
  /** The epoch's first second is when a test begins, unless it says otherwise. */
  wallMs(): number {
    return this.ms;
  }
  /** What upstreams answer, in turn. */
  readonly answers: FetchResponse[] = [];
  readonly asked: { readonly upstream: string; readonly request: FetchRequest }[] = [];
  readonly logs: string[] = [];
  fetch(upstream: string, request: FetchRequest): Promise<FetchResponse> {
    this.asked.push({ upstream, request });
    const none = { status: 0, headers: [], body: new Uint8Array(0), error: "nobody there" };
    return Promise.resolve(this.answers.shift() ?? none);
  }
  /** Shared maps by name, of user space. */
  readonly maps = new Map<string, SharedMap>();
  map(name: string): SharedMap {
    return defined(this.maps.get(name), `map ${name}`);
  }
  readonly files = new FileRoots({});
  log(level: string, filter: string, message: string): void {
    this.logs.push(`${level} ${filter}: ${message}`);
  }
}

export function made<Name extends BuiltinName>(name: Name, config: BuiltinConfigs[Name], clock = new Clock()): Filter {
  return createBuiltinFilter(
    { kind: "builtin", name, config } as BuiltinFilterSpec,
    clock,
    `${name} ${JSON.stringify(config)}`,
  );
}

/** `head`: request line without version, then fields. */
export function requestOf(line: string, ...fields: string[]): TestExchange {
  const host = fields.some((field) => /^host:/i.test(field)) ? [] : ["host: shop.example"];
  return new TestExchange([`${line} HTTP/1.1`, ...host, ...fields, "", ""].join("\r\n"));
}

export function from(address: string): TestExchange {
  const exchange = requestOf("GET /");
  exchange.clientAddress = address;
  exchange.clientAddressBytes = Uint8Array.from(parseIp(address));
  return exchange;
}

export function through(filter: Filter, exchange: TestExchange): Verdict {
  return filter.requestHead(exchange, 0);
}

/** As the next reader gets it: path and query. */
export function targetOf({ request }: TestExchange): string {
  return request.pathText() + (request.hasQuery ? `?${request.queryText()}` : "");
}
