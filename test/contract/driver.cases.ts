/**
 * The rules of gateway/io/driver.ts, as tests. They run unchanged over every driver: what can't be seen through the
 * interface and the other ends is nobody's business.
 */
import { type OpenNetwork, useBench } from "./driver.bench.ts";
import { flowCases } from "./driver.flow.ts";
import { lifeCases } from "./driver.life.ts";
import { spliceCases } from "./driver.splice.ts";

export function driverContract(open: OpenNetwork): void {
  const bench = useBench(open);
  lifeCases(bench);
  flowCases(bench);
  spliceCases(bench);
}
