/**
 * What is counted for each route and each listener of one worker. A meter is a few slots of memory that the request path adds
 * to; names are looked up once for a route of a snapshot, never for a request.
 *
 * There are as many meters as there may be, whatever tenants declare: a tenant's routes beyond its share are counted
 * together, as `(others)`.
 */
import { BUCKETS, bucketOf } from "./histogram.ts";

/** Slots of a meter: exchanges by the class of their status, 0 for none; then these; then the histogram. */
export const CLASSES = 6;
/** Behind the classes. */
export const REQUEST_BYTES = 6;
export const RESPONSE_BYTES = 7;
export const DURATION_MS = 8;
export const HISTOGRAM = 9;
const SLOTS = HISTOGRAM + BUCKETS;

/** 83 slots each: 700 KiB at the most for routes. */
const ROUTES_MAX = 1000;
const ROUTES_A_TENANT_MAX = 200;
const LISTENERS_MAX = 1000;
export const OTHERS = "(others)";

export type MeterKind = "route" | "listener";

export interface MeterReading {
  readonly kind: MeterKind;
  /** Of a route; empty for listeners. */
  readonly tenant: string;
  readonly name: string;
  readonly values: Float64Array;
}

export class Meter {
  readonly values = new Float64Array(SLOTS);

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
  readonly #rows = new Map<string, Row>();
  /** Rows of a tenant's routes, by tenant. */
  readonly #routesOf = new Map<string, number>();
  #routes = 0;
  #listeners = 0;

  /** The same meter for the same route, whichever snapshot asks. */
  route(tenant: string, name: string): Meter {
    const known = this.#rows.get(`r ${tenant} ${name}`);
    if (known !== undefined) return known.meter;
    const own = this.#routesOf.get(tenant) ?? 0;
    if (this.#routes >= ROUTES_MAX || own >= ROUTES_A_TENANT_MAX) return this.#others(own === 0 ? OTHERS : tenant);
    this.#routes++;
    this.#routesOf.set(tenant, own + 1);
    return this.#add(`r ${tenant} ${name}`, "route", tenant, name);
  }

  listener(name: string): Meter {
    const known = this.#rows.get(`l ${name}`);
    if (known !== undefined) return known.meter;
    const kept = this.#listeners++ < LISTENERS_MAX ? name : OTHERS;
    return this.#rows.get(`l ${kept}`)?.meter ?? this.#add(`l ${kept}`, "listener", "", kept);
  }

  read(): MeterReading[] {
    return Array.from(this.#rows.values(), ({ kind, tenant, name, meter }) => ({
      kind,
      tenant,
      name,
      values: meter.values,
    }));
  }

  /** Of a tenant that has rows; of all that have none together. */
  #others(tenant: string): Meter {
    const key = `o ${tenant}`;
    return this.#rows.get(key)?.meter ?? this.#add(key, "route", tenant, OTHERS);
  }

  #add(key: string, kind: MeterKind, tenant: string, name: string): Meter {
    const meter = new Meter();
    this.#rows.set(key, { kind, tenant, name, meter });
    return meter;
  }
}
