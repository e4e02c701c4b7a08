/** Which core does what. The proxy has one to itself; load and upstream share another, or have one each. */
import { readFileSync } from "node:fs";
import { Unavailable } from "#test/bench/unavailable.ts";

export interface Cpus {
  readonly proxy: number;
  readonly load: number;
  readonly upstream: number;
}

/** `0-3,8` as numbers. */
export function parseCpuList(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [first = Number.NaN, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Of those this process may run on. */
export function assignCpus(): Cpus {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  const [load, proxy, third] = parseCpuList(list);
  if (load === undefined || proxy === undefined) {
    throw new Unavailable("it needs two cores, one for the proxy and one for load and upstream; here is one");
  }
  return { proxy, load, upstream: third ?? load };
}
