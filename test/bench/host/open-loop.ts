/** Load at a fixed rate, whatever becomes of it: open-loop.c, on the load core. */
import { compiled } from "./compiled.ts";
import type { Scope } from "./scope.ts";

export interface FixedRate {
  readonly port: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly seconds: number;
  /** Requests go to `/service-0/item` and so on, of so many; 0: all to `/`. */
  readonly paths: number;
  readonly cpu: number;
}

export interface FixedRateResult {
  readonly sent: number;
  /** By 200. */
  readonly answered: number;
  /** By anything else. */
  readonly otherwise: number;
  /** Connections that ended before their answer was whole. */
  readonly lost: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly p999Us: number;
  readonly maxUs: number;
}

/** Compiles the load; answers what applies it. */
export function openLoop(scope: Scope): (load: FixedRate) => Promise<FixedRateResult> {
  const binary = compiled(scope, "open-loop");
  return async ({ port, connections, perSecond, seconds, paths, cpu }) => {
    const shape = [port, connections, perSecond, seconds, paths].map(String);
    const child = scope.spawn(binary, shape, { cpu });
    const code = await child.exit();
    if (code !== 0) throw new Error(child.lastWords);
    return JSON.parse(child.output) as FixedRateResult;
  };
}
