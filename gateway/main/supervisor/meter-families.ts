/** Meters of all workers, added up, as families of metrics: by route, listener, tenant and version of a plugin. */
import type { MetricFamily, MetricSample } from "#control/gateway-status.ts";
import { SHOWN_BUCKETS, upperBoundOf } from "#observe/histogram.ts";
import {
  CLASSES,
  DURATION_MS,
  HISTOGRAM,
  REQUEST_BYTES,
  RESPONSE_BYTES,
  type MeterKind,
  type MeterReading,
  PLUGIN_UNITS,
} from "#observe/meters.ts";

interface Sum {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Float64Array;
}

export function meterFamilies(readings: readonly MeterReading[]): MetricFamily[] {
  const routes = sums(readings, "route", ({ tenant, name }) => ({ tenant, route: name }));
  const tenants = sums(readings, "route", ({ tenant }) => ({ tenant }));
  const plugins = sums(readings, "plugin", ({ tenant, name }) => {
    const [plugin = "", version = ""] = name.split("@");
    return { tenant, plugin, version };
  });
  const listeners = sums(readings, "listener", ({ name }) => ({ listener: name }));
  return [
    ...familiesOf("route", "a route", routes),
    ...familiesOf("listener", "a listener", listeners),
    requests("tenant", "a tenant", tenants),
    {
      name: "penstock_plugin_duration_seconds",
      type: "histogram",
      help: "Calls of a plugin's hooks with what they waited for, a sample: one in sixteen",
      samples: plugins.flatMap((sum) => histogram(sum, PLUGIN_UNITS)),
    },
  ];
}

function sums(
  readings: readonly MeterReading[],
  kind: MeterKind,
  labelsOf: (reading: MeterReading) => Record<string, string>,
): Sum[] {
  const all = new Map<string, Sum>();
  for (const reading of readings) {
    if (reading.kind !== kind) continue;
    const labels = labelsOf(reading);
    const key = JSON.stringify(labels);
    const sum = all.get(key) ?? { labels, values: new Float64Array(reading.values.length) };
    all.set(key, sum);
    for (let i = 0; i < sum.values.length; i++) sum.values[i] = (sum.values[i] ?? 0) + (reading.values[i] ?? 0);
  }
  return [...all.values()];
}

function familiesOf(kind: string, what: string, all: readonly Sum[]): MetricFamily[] {
  return [
    requests(kind, what, all),
    bytes(`${kind}_request_body_bytes`, `Bodies of ${what}'s requests`, REQUEST_BYTES, all),
    bytes(`${kind}_response_body_bytes`, `Bodies of ${what}'s responses`, RESPONSE_BYTES, all),
    {
      name: `penstock_${kind}_duration_seconds`,
      type: "histogram",
      help: `From the head of ${what}'s request to the end of its response`,
      samples: all.flatMap((sum) => histogram(sum)),
    },
  ];
}

function requests(kind: string, what: string, all: readonly Sum[]): MetricFamily {
  const samples = all.flatMap(({ labels, values }) =>
    Array.from({ length: CLASSES }, (_, index) => ({
      labels: { ...labels, status: index === 0 ? "none" : `${index}xx` },
      value: values[index] ?? 0,
    })).filter(({ value }) => value > 0),
  );
  return { name: `penstock_${kind}_requests`, type: "counter", help: `Requests of ${what}, by status`, samples };
}

function bytes(name: string, help: string, slot: number, all: readonly Sum[]): MetricFamily {
  const samples = all.map(({ labels, values }) => ({ labels, value: values[slot] ?? 0 }));
  return { name: `penstock_${name}`, type: "counter", help, samples };
}

/** Cumulative, as the format asks; every fourth bucket of ours, which are the whole octaves. `units`: how much finer they are. */
function histogram({ labels, values }: Sum, units = 1): MetricSample[] {
  const samples: MetricSample[] = [];
  let counted = 0;
  let next = 0;
  for (const bucket of SHOWN_BUCKETS) {
    for (; next <= bucket; next++) counted += values[HISTOGRAM + next] ?? 0;
    samples.push({
      suffix: "_bucket",
      labels: { ...labels, le: String(upperBoundOf(bucket) / units) },
      value: counted,
    });
  }
  for (; HISTOGRAM + next < values.length; next++) counted += values[HISTOGRAM + next] ?? 0;
  samples.push(
    { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: counted },
    { suffix: "_count", labels, value: counted },
    { suffix: "_sum", labels, value: (values[DURATION_MS] ?? 0) / 1000 },
  );
  return samples;
}
