/** The load: wrk, one thread, on the load core. */
import { spawnSync } from "node:child_process";
import { Unavailable } from "#test/bench/unavailable.ts";
import type { Scope } from "./scope.ts";

export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly headers: readonly string[];
  readonly cpu: number;
  /** A script of wrk's own, in Lua, that makes the requests; absent: all are the same. */
  readonly script?: string | undefined;
}

export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6 };

/** `635.00us`, `1.20ms`, `2.00s` in microseconds. */
export function parseDuration(text: string): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m|h)$/.exec(text) ?? [];
  const factor = UNITS[unit ?? ""];
  if (factor === undefined) throw new Error(`wrk printed a time that is none: ${text}`);
  return Number(number) * factor;
}

/** Reads what wrk prints. Throws when a request failed: a wrong answer is cheaper than a right one. */
export function parseWrk(output: string): LoadResult {
  const find = (pattern: RegExp, what: string): string => {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`wrk printed no ${what}:\n${output}`);
    return found;
  };
  const failed = /Socket errors:.*|Non-2xx or 3xx responses:.*/.exec(output);
  if (failed !== null) throw new Error(`the load met failures: ${failed[0].trim()}`);
  return {
    requests: Number(find(/(\d+) requests in /, "number of requests")),
    seconds: parseDuration(find(/requests in ([\d.]+[a-z]+),/, "time")) / 1e6,
    p50Us: parseDuration(find(/^\s+50%\s+(\S+)/m, "median latency")),
    p99Us: parseDuration(find(/^\s+99%\s+(\S+)/m, "99th percentile")),
  };
}

export function requireWrk(): void {
  if (spawnSync("wrk", ["-v"]).error !== undefined) throw new Unavailable("wrk is not installed (apt-get install wrk)");
}

export async function applyLoad(scope: Scope, load: Load): Promise<LoadResult> {
  const { url, connections, seconds, headers, cpu, script } = load;
  const fields = headers.flatMap((header) => ["-H", header]);
  const shape = ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", "--timeout", "10s"];
  if (script !== undefined) shape.push("-s", script);
  const wrk = scope.spawn("wrk", [...shape, ...fields, url], { cpu });
  const code = await wrk.exit();
  if (code !== 0) throw new Error(wrk.lastWords);
  return parseWrk(wrk.output);
}
