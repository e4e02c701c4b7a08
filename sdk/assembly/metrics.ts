// Series of the plugin's own in the gateway's metrics, by tenant, plugin and name. Make them at top level or in `onConfigure`; what is over
// the tenant's number of series is not counted.
import { metric_add, metric_define, metric_record } from "./host";
import { encode, encoded, encodedLength } from "./text";

function define(kind: i32, name: string): i32 {
  encode(name);
  return metric_define(kind, encoded, encodedLength);
}

export class Counter {
  private handle: i32;

  constructor(name: string) {
    this.handle = define(0, name);
  }

  add(delta: f64 = 1): void {
    metric_add(this.handle, delta);
  }
}

export class Gauge {
  private handle: i32;

  constructor(name: string) {
    this.handle = define(1, name);
  }

  add(delta: f64): void {
    metric_add(this.handle, delta);
  }

  set(value: f64): void {
    metric_record(this.handle, value);
  }
}

export class Histogram {
  private handle: i32;

  constructor(name: string) {
    this.handle = define(2, name);
  }

  observe(value: f64): void {
    metric_record(this.handle, value);
  }
}
