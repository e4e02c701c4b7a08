import * as metrics from "penstock:plugin/metrics@1.0.0";

/** Series of the plugin's own in the gateway's metrics. What is over the tenant's number of series is not counted. */
class Series {
  readonly #handle: number | null;

  constructor(kind: metrics.Kind, name: string) {
    this.#handle = metrics.define(kind, name);
  }

  protected addTo(delta: number): void {
    if (this.#handle !== null) metrics.add(this.#handle, delta);
  }

  protected recordIn(value: number): void {
    if (this.#handle !== null) metrics.record(this.#handle, value);
  }
}

/** Make series in `onConfigure`. */
export class Counter extends Series {
  constructor(name: string) {
    super("counter", name);
  }

  add(delta = 1): void {
    this.addTo(delta);
  }
}

export class Gauge extends Series {
  constructor(name: string) {
    super("gauge", name);
  }

  add(delta: number): void {
    this.addTo(delta);
  }

  set(value: number): void {
    this.recordIn(value);
  }
}

export class Histogram extends Series {
  constructor(name: string) {
    super("histogram", name);
  }

  observe(value: number): void {
    this.recordIn(value);
  }
}
