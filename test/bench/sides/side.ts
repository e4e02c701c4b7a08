/** One of the proxies that a bench compares, running. */
import type { Child } from "#test/bench/host/scope.ts";
import { get } from "#test/bench/host/probe.ts";
import { until } from "#test/bench/host/until.ts";

export interface Side {
  /** `nginx 1.22.1` */
  readonly name: string;
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  /** The process whose whole tree is the proxy. */
  readonly child: Child;
}

/** PEM files. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

/** Returns once the side proxies to the upstream. */
export async function ready(side: Side, headers: Readonly<Record<string, string>>): Promise<Side> {
  await until(`${side.name} answers`, async () => {
    if (side.child.ended) throw new Error(side.child.lastWords);
    try {
      return (await get(side.origin, "/", headers)).status === 200;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ECONNREFUSED") return false;
      throw error;
    }
  });
  return side;
}
