/**
 * What is counted for each route, each listener and each version of a plugin, of one worker. A meter is a few slots of memory
 * (metrics-block.ts) that the request path adds to; names are looked up once for a route of a snapshot, never for a request.
 *
 * There are as many meters as there may be, whatever tenants declare: a tenant's routes beyond its share are counted
 * together, as `(others)`.
 */
import { bucketOf } from "./histogram.ts";
import { METER_SLOTS, type MetricsBlock } from "./metrics-block.ts";

/** Slots of a meter: exchanges by the class of their status, 0 for none; then these; then the histogram. */
export const CLASSES = 6;
/** Behind the classes. */
export const REQUEST_BYTES = 6;
export const RESPONSE_BYTES = 7;
export const DURATION_MS = 8;
export const HISTOGRAM = 9;

/** 83 slots and a name each, in pages that are memory once they are used: 850 KiB at the most for routes. */
const ROUTES_MAX = 1000;
const ROUTES_A_TENANT_MAX = 200;
const LISTENERS_MAX = 1000;
const PLUGINS_MAX = 1000;
/** With the rows of those that have none of their own: for each tenant that has some, and for all the others. */
export const METERS_MAX = 2 * ROUTES_MAX + LISTENERS_MAX + PLUGINS_MAX + 3;
/**
 * A plugin's calls take microseconds, where requests take milliseconds: their histogram has units so much finer, from one
 * microsecond to a quarter of a second.
 */
export const PLUGIN_UNITS = 256;
export const OTHERS = "(others)";

export type MeterKind = "route" | "listener" | "plugin";

export interface MeterReading {
  readonly kind: MeterKind;
  /** Of a route or plugin; empty for listeners. */
  readonly tenant: string;
  /** Of a plugin: `token-check@1`. */
  readonly name: string;
  readonly values: Float64Array;
}

export class Meter {
  readonly values: Float64Array;

  constructor(values: Float64Array = new Float64Array(METER_SLOTS)) {
    this.values = values;
  }

  /** A call of a plugin has ended. */
  called(durationMs: number): void {
    const { values } = this;
    values[DURATION_MS] = (values[DURATION_MS] as number) + durationMs;
    const bucket = HISTOGRAM + bucketOf(durationMs * PLUGIN_UNITS);
    values[bucket] = (values[bucket] as number) + 1;
  }

  /** One exchange has ended. `status`: 0 when none was sent. */
  ended(status: number, requestBytes: number, responseBytes: number, durationMs: number): void {
    const { values } = this;
    const statusClass = status >= 100 && status < 600 ? (status / 100) | 0 : 0;
    values[statusClass] = (values[statusClass] as number) + 1;
    values[REQUEST_BYTES] = (values[REQUEST_BYTES] as number) + requestBytes;
    values[RESPONSE_BYTES] = (values[RESPONSE_BYTES] as number) + responseBytes;
    values[DURATION_MS] = (values[DURATION_MS] as number) + durationMs;
    const bucket = HISTOGRAM + bucketOf(durationMs);
    values[bucket] = (values[bucket] as number) + 1;
  }
}

interface Row {
  readonly kind: MeterKind;
  readonly tenant: string;
  readonly name: string;
  readonly meter: Meter;
}

export class Meters {
  readonly #block: MetricsBlock;
  readonly #rows = new Map<string, Row>();
  /** Rows of a tenant's routes, by tenant. */
  readonly #routesOf = new Map<string, number>();
  #routes = 0;
  #listeners = 0;
  #plugins = 0;

  /** With the rows that the block has: those of an earlier life, or of another process, of which this is a reader. */
  constructor(block: MetricsBlock) {
    this.#block = block;
    for (let row = 0; row < block.rows; row++) this.#take(block.name(row), block.values(row));
  }

  /** The same meter for the same route, whichever snapshot asks. */
  route(tenant: string, name: string): Meter {
    const known = this.#rows.get(keyOf("route", tenant, name));
    if (known !== undefined) return known.meter;
    const own = this.#routesOf.get(tenant) ?? 0;
    const full = this.#routes >= ROUTES_MAX || own >= ROUTES_A_TENANT_MAX;
    // Of a tenant that has rows; of all that have none together.
    return full ? this.#meter("route", own === 0 ? OTHERS : tenant, OTHERS) : this.#meter("route", tenant, name);
  }

  listener(name: string): Meter {
    const full = this.#listeners >= LISTENERS_MAX && !this.#rows.has(keyOf("listener", "", name));
    return this.#meter("listener", "", full ? OTHERS : name);
  }

  /** `name`: `token-check@1`. */
  plugin(tenant: string, name: string): Meter {
    const full = this.#plugins >= PLUGINS_MAX && !this.#rows.has(keyOf("plugin", tenant, name));
    return full ? this.#meter("plugin", OTHERS, OTHERS) : this.#meter("plugin", tenant, name);
  }

  read(): MeterReading[] {
    return Array.from(this.#rows.values(), ({ kind, tenant, name, meter }) => ({
      kind,
      tenant,
      name,
      values: meter.values,
    }));
  }

  #meter(kind: MeterKind, tenant: string, name: string): Meter {
    const key = keyOf(kind, tenant, name);
    return this.#rows.get(key)?.meter ?? this.#take(key, this.#block.add(key));
  }

  #take(key: string, values: Float64Array): Meter {
    const [kind = "", tenant = "", name = ""] = key.split("\n");
    if (kind === "listener") this.#listeners++;
    else if (kind === "plugin") this.#plugins++;
    else if (name !== OTHERS) {
      this.#routes++;
      this.#routesOf.set(tenant, (this.#routesOf.get(tenant) ?? 0) + 1);
    }
    const meter = new Meter(values);
    this.#rows.set(key, { kind: kind as MeterKind, tenant, name, meter });
    return meter;
  }
}

function keyOf(kind: MeterKind, tenant: string, name: string): string {
  return `${kind}\n${tenant}\n${name}`;
}
