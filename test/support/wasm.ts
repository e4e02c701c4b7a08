/**
 * What a plugin filter needs around it, without a gateway: heads over plain memory, an exchange that records what was
 * done to it, services over maps in user space, and a snapshot's filter entry.
 */
import type { BodyStage } from "#pipeline/body.ts";
import {
  type Exchange,
  type FetchResponse,
  type FilterServices,
  type SharedMap,
  type Verdict,
} from "#pipeline/filter.ts";
import { parseRequestHead } from "#http/h1/parse-request.ts";
import { parseResponseHead } from "#http/h1/parse-response.ts";
import { Head } from "#http/head.ts";
import { DEFAULT_HEAD_LIMITS } from "#http/limits.ts";
import type { PluginFilterSpec, MapSpec, PluginSpec, TenantQuotas, UpstreamSpec } from "#snapshot/snapshot.ts";
import { Account } from "#worker/tenants/account.ts";
import { KeyValueRegion } from "#worker/tenants/key-value-region.ts";
import { formatRegion, regionBytes } from "#worker/tenants/region-layout.ts";
import { Turns } from "#worker/tenants/turns.ts";

const REGION_BYTES = 32_768;
const SCRATCH_REGIONS = 4;

/** Memory of one exchange: received request, received response, scratch. */
export class TestScratch {
  readonly memory = new Uint8Array(REGION_BYTES * (2 + SCRATCH_REGIONS));
  readonly regionBytes = REGION_BYTES;
  readonly #free = Array.from({ length: SCRATCH_REGIONS }, (_, index) => (2 + index) * REGION_BYTES);
  allocate(): number {
    return this.#free.pop() ?? -1;
  }
  free(offset: number): void {
    this.#free.push(offset);
  }
}

export interface Reply {
  readonly status: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
}

export class TestExchange implements Exchange {
  readonly request: Head;
  readonly response: Head;
  clientAddress = "203.0.113.7";
  clientAddressBytes = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 203, 0, 113, 7]);
  readonly state: unknown[] = [null, null, null];
  ended = false;
  reply: Reply | null = null;
  source: BodyStage | null = null;
  readonly requestStages: BodyStage[] = [];
  readonly responseStages: BodyStage[] = [];
  /** What it was resumed with, in order. */
  readonly resumed: Verdict[] = [];
  #wake: ((verdict: Verdict) => void) | null = null;

  constructor(requestText = "GET /orders?a=1 HTTP/1.1\r\nhost: shop.example\r\n\r\n") {
    const scratch = new TestScratch();
    this.request = new Head(scratch);
    this.response = new Head(scratch);
    const bytes = Buffer.from(requestText, "latin1");
    scratch.memory.set(bytes, 0);
    const next = parseRequestHead(this.request, 0, bytes.length, DEFAULT_HEAD_LIMITS);
    if (next <= 0) throw new Error(`not a request: ${next}`);
  }

  respondWith(responseText = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"): this {
    const bytes = Buffer.from(responseText, "latin1");
    this.response.memory.set(bytes, REGION_BYTES);
    const end = REGION_BYTES + bytes.length;
    const next = parseResponseHead(this.response, REGION_BYTES, end, DEFAULT_HEAD_LIMITS, this.request.method);
    if (next <= 0) throw new Error(`not a response: ${next}`);
    return this;
  }

  respond(status: number, headers: readonly (readonly [string, string])[], body: Uint8Array): void {
    this.reply = { status, headers, body: Buffer.from(body).toString() };
  }

  respondFrom(
    status: number,
    headers: readonly (readonly [string, string])[],
    contentLength: number,
    source: BodyStage,
  ): void {
    this.reply = { status, headers, body: `${contentLength} bytes from a source` };
    this.source = source;
  }

  filterRequestBody(stage: BodyStage): void {
    this.requestStages.push(stage);
  }

  filterResponseBody(stage: BodyStage): void {
    this.responseStages.push(stage);
  }

  resume(verdict: Verdict): void {
    this.resumed.push(verdict);
    this.#wake?.(verdict);
  }

  /** Resolves with the verdict of the next `resume`. */
  nextResume(): Promise<Verdict> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

export class TestMap implements SharedMap {
  readonly name: string;
  readonly entries = new Map<string, bigint | string>();
  readonly #max: number;
  constructor(name: string, max = 1000) {
    this.name = name;
    this.#max = max;
  }
  get(key: Uint8Array): Uint8Array | null {
    const value = this.entries.get(hex(key));
    if (value === undefined) return null;
    return typeof value === "bigint" ? new Uint8Array(new BigUint64Array([value]).buffer) : Buffer.from(value, "hex");
  }
  put(key: Uint8Array, value: Uint8Array): boolean {
    if (this.entries.size >= this.#max && !this.entries.has(hex(key))) return false;
    this.entries.set(
      hex(key),
      value.length === 8 ? new DataView(value.slice().buffer).getBigUint64(0, true) : hex(value),
    );
    return true;
  }
  delete(key: Uint8Array): boolean {
    return this.entries.delete(hex(key));
  }
  next(key: Uint8Array | null): Uint8Array | null {
    const keys = [...this.entries.keys()];
    const at = key === null ? 0 : keys.indexOf(hex(key)) + 1;
    const found = keys[at];
    return found === undefined ? null : Buffer.from(found, "hex");
  }
  increment(key: Uint8Array, delta: bigint): bigint {
    const sum = BigInt(this.entries.get(hex(key)) ?? 0n) + delta;
    this.entries.set(hex(key), sum);
    return sum;
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export const QUOTAS: TenantQuotas = {
  fuelPerSecond: 1_000_000_000_000,
  logLinesPerSecond: 20,
  mapEntries: 1000,
  keyValueBytes: 65_536,
  metricSeries: 10,
  guests: 1000,
  suspendedCalls: 256,
};

export class TestServices implements FilterServices {
  readonly tenant: Account;
  /** Which turn of the loop it is; null: each call is in one of its own. */
  turn: number | null = null;
  #turns = 0;
  /** What was put off, until `nextTurn` runs it. */
  readonly #later: (() => void)[] = [];
  readonly maps: readonly TestMap[];
  readonly logs: string[] = [];
  readonly fetches: {
    upstream: number;
    method: string;
    path: string;
    headers: readonly (readonly [string, string])[];
  }[] = [];
  clockMs = 1_000_000;
  /** Answers a fetch. */
  answer: (path: string) => Promise<FetchResponse> = async () => ({
    status: 200,
    headers: [],
    body: new Uint8Array(),
    error: "",
  });

  constructor(maps: readonly MapSpec[] = MAPS, quotas: Partial<TenantQuotas> = {}) {
    this.maps = maps.map((spec) => new TestMap(spec.name));
    const all = { ...QUOTAS, ...quotas };
    const host = { workers: 1, nowMs: () => this.clockMs, turn: () => this.turn ?? ++this.#turns };
    this.tenant = new Account("acme", all, host, new Turns((run) => this.#later.push(run)));
    const memory = new ArrayBuffer(regionBytes(all.keyValueBytes));
    formatRegion(memory, all.keyValueBytes, 1);
    this.tenant.keyValue = new KeyValueRegion(memory, {
      pid: 1,
      nowMs: () => this.clockMs,
      yieldCore: () => undefined,
    });
  }

  /** The loop has been round. */
  nextTurn(): void {
    if (this.turn !== null) this.turn++;
    for (const run of this.#later.splice(0)) run();
  }

  fetch: FilterServices["fetch"] = (upstream, { method, path, headers }) => {
    this.fetches.push({ upstream, method, path, headers });
    return this.answer(path);
  };
  map(index: number): SharedMap {
    const map = this.maps[index];
    if (map === undefined) throw new Error(`no map ${index}`);
    return map;
  }
  log(level: string, filter: string, message: string): void {
    this.logs.push(`${level} ${filter} ${message}`);
  }
  nowMs(): number {
    return this.clockMs;
  }
  bootMs(): number {
    return 5_000;
  }
}

const map = (name: string, key: MapSpec["key"], value: MapSpec["value"]): MapSpec => ({
  name,
  type: key === "ip-prefix" ? "lpm-trie" : "hash",
  key,
  keyBytes: 16,
  value,
  valueBytes: 32,
  maxEntries: 1000,
});

export const MAPS: readonly MapSpec[] = [
  map("blocklist", "ip-prefix", "expiry"),
  map("failures", "ip", "counter"),
  map("notes", "bytes", "bytes"),
];

const timeouts = { connectMs: 1000, requestMs: 1000, idleMs: 1000 };

export const UPSTREAMS: readonly UpstreamSpec[] = [
  { name: "api", endpoints: [], timeouts, idleConnectionsMax: 1 },
  { name: "auth", endpoints: [], timeouts, idleConnectionsMax: 1 },
];

export const RESOURCES = { maps: MAPS, upstreams: UPSTREAMS };

export const PLUGIN: PluginSpec = { name: "sample", tenant: "acme", version: "1", digest: "" };

export function filterSpec(more: Partial<PluginFilterSpec> = {}): PluginFilterSpec {
  return {
    kind: "plugin",
    plugin: 0,
    config: {},
    limits: { fuel: 200_000, memoryBytes: 1 << 20, deadlineMs: 1000 },
    onFault: "deny",
    allow: { upstreams: [], maps: [] },
    ...more,
  };
}
