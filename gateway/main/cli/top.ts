/** `penstock top`: what goes through the gateway now. Two readings of its metrics, and what happened in between. */
import { setTimeout as sleep } from "node:timers/promises";
import { positionals, textOption } from "./arguments.ts";
import { Client } from "./client.ts";
import { printFailure } from "./failure.ts";
import { Between, type Readings } from "./readings.ts";
import { table } from "./table.ts";
import { UsageError, type Output, type Verb } from "./verb.ts";

const SECONDS_DEFAULT = 2;
const SECONDS_MAX = 3600;
const ROWS_MAX = 20;
/** Cursor home, and everything below it erased. Source: ECMA-48, CUP and ED. */
const CLEAR = "\u001b[H\u001b[J";

export const top: Verb = {
  summary: "live: requests, errors and latencies by route, plugins, and what the kernel drops",
  usage: ["top [--interval SECONDS] [--count N]"],
  examples: ["top", "top --interval 10", "top --count 1 --json"],
  options: { interval: { type: "string" }, count: { type: "string" } },
  run: async (args, out, context) => {
    positionals(args);
    const seconds = numberOption(textOption(args, "interval"), SECONDS_DEFAULT, SECONDS_MAX, "--interval");
    // In a pipe somebody waits for the end.
    const count = numberOption(textOption(args, "count"), out.interactive && !out.json ? Infinity : 1, 1e9, "--count");
    const client = Client.of(args, context);
    try {
      let before = await read(client);
      for (let shown = 0; shown < count; shown++) {
        await sleep(seconds * 1000);
        const now = await read(client);
        show(viewOf(new Between(before, now)), out);
        before = now;
      }
      return 0;
    } catch (error) {
      return printFailure(error, out);
    }
  },
};

function numberOption(text: string | undefined, otherwise: number, most: number, option: string): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!(value > 0 && value <= most)) throw new UsageError(`${option} takes a number above 0`);
  return value;
}

async function read(client: Client): Promise<Readings> {
  return (await client.get("/v1/metrics")).body as Readings;
}

interface Traffic {
  readonly name: string;
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

interface View {
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly errorsPerSecond: number;
  readonly connections: number;
  readonly routes: readonly Traffic[];
  readonly plugins: readonly {
    readonly name: string;
    readonly callsPerSecond: number;
    /** Of a sample of the calls; null: none was measured. */
    readonly p99Us: number | null;
    readonly fuelPerCall: number;
    readonly faults: number;
    readonly skipped: number;
  }[];
  /** What programs in the kernel counted, a second, by family and labels. */
  readonly kernel: readonly { readonly name: string; readonly perSecond: number }[];
}

function viewOf(between: Between): View {
  const { seconds } = between;
  const rate = (count: number): number => Math.round((count / seconds) * 10) / 10;
  const routes = distinct(between.increases("route_requests"), ({ tenant, route }) => `${tenant}/${route}`);
  return {
    seconds,
    requestsPerSecond: rate(between.increase("requests")),
    errorsPerSecond: rate(between.increase("responses_5xx")),
    connections: between.value("connections_open"),
    routes: routes.map(([name, { tenant = "", route = "" }]) => {
      const labels = { tenant, route };
      const ms = (part: number): number | null => {
        const quantile = between.quantile("route_duration_seconds", labels, part);
        return quantile === null ? null : Math.round(quantile * 10_000) / 10;
      };
      return {
        name,
        requestsPerSecond: rate(between.increase("route_requests", labels)),
        errorsPerSecond: rate(between.increase("route_requests", { ...labels, status: "5xx" })),
        p50Ms: ms(0.5),
        p99Ms: ms(0.99),
      };
    }),
    plugins: distinct(between.increases("plugin_calls"), pluginName).map(([name, labels]) => {
      const of = (what: string): number => between.increase(`plugin_${what}`, withoutWorker(labels));
      const calls = of("calls");
      const fuelPerCall = calls === 0 ? 0 : Math.round(of("fuel") / calls);
      const p99 = between.quantile("plugin_duration_seconds", withoutWorker(labels), 0.99);
      return {
        name,
        callsPerSecond: rate(calls),
        p99Us: p99 === null ? null : Math.round(p99 * 1e7) / 10,
        fuelPerCall,
        faults: of("faults"),
        skipped: of("skipped"),
      };
    }),
    kernel: between.counters(KERNEL_FAMILY).flatMap((family) =>
      between.increases(family).map(({ labels, increase }) => ({
        name: [family.replace(/^kernel_|_packets$/g, ""), ...Object.values(labels)].join(" "),
        perSecond: rate(increase),
      })),
    ),
  };
}

/** What programs count packets in: passed, dropped and why. */
const KERNEL_FAMILY = /^kernel_\w+_packets$/;

function pluginName({ tenant = "", plugin = "", version = "" }: Readonly<Record<string, string>>): string {
  return `${tenant}/${plugin}@${version}`;
}

function withoutWorker(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name !== "worker"));
}

/** One of each name, with the labels it was made of. */
function distinct(
  series: readonly { readonly labels: Readonly<Record<string, string>> }[],
  name: (labels: Readonly<Record<string, string>>) => string,
): [string, Readonly<Record<string, string>>][] {
  return [...new Map(series.map(({ labels }) => [name(labels), labels]))];
}

function show(view: View, out: Output): void {
  if (out.json) {
    out.print(JSON.stringify(view));
    return;
  }
  const { requestsPerSecond, errorsPerSecond, connections, seconds } = view;
  const blocks = [
    `${requestsPerSecond} requests/s, ${errorsPerSecond} answered 5xx/s, ${connections} connections (the last ${seconds.toFixed(1)} s)`,
    routesTable(view, out),
    pluginsTable(view, out),
    kernelTable(view, out),
  ].filter((block) => block !== "");
  out.print(`${out.interactive ? CLEAR : ""}${blocks.join("\n\n")}`);
}

function routesTable({ routes }: View, out: Output): string {
  const busiest = routes.toSorted((a, b) => b.requestsPerSecond - a.requestsPerSecond).slice(0, ROWS_MAX);
  if (busiest.length === 0) return "no route has had a request";
  const rows = busiest.map((one) => [
    one.name,
    `${one.requestsPerSecond}`,
    `${one.errorsPerSecond}`,
    one.p50Ms === null ? "" : `${one.p50Ms}`,
    one.p99Ms === null ? "" : `${one.p99Ms}`,
  ]);
  const left = routes.length - busiest.length;
  const text = table(["ROUTE", "REQ/S", "5XX/S", "P50 MS", "P99 MS"], rows, out);
  return left > 0 ? `${text}\n… and ${left} more` : text;
}

function pluginsTable({ plugins }: View, out: Output): string {
  if (plugins.length === 0) return "";
  const rows = plugins
    .toSorted((a, b) => b.callsPerSecond - a.callsPerSecond)
    .slice(0, ROWS_MAX)
    .map((one) => [
      one.name,
      `${one.callsPerSecond}`,
      one.p99Us === null ? "" : `${one.p99Us}`,
      `${one.fuelPerCall}`,
      `${one.faults}`,
      `${one.skipped}`,
    ]);
  return table(["PLUGIN", "CALLS/S", "P99 µs", "FUEL/CALL", "FAULTS", "SKIPPED"], rows, out);
}

function kernelTable({ kernel }: View, out: Output): string {
  if (kernel.length === 0) return "";
  const rows = kernel.map(({ name, perSecond }) => [name, `${perSecond}`]);
  return table(["KERNEL", "PER S"], rows, out);
}
