/** Compiles upstream.c into a temporary directory and starts it. */
import { compiled } from "./compiled.ts";
import type { Scope } from "./scope.ts";
import { until } from "./until.ts";

export interface Upstream {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly pid: number;
}

/** `bodyBytes`: of every answer. */
export async function startUpstream(scope: Scope, cpu: number, bodyBytes = 100): Promise<Upstream> {
  const binary = compiled(scope, "upstream");
  const child = scope.spawn(binary, [String(bodyBytes)], { cpu });
  await until("the upstream listens", () => {
    if (child.ended) throw new Error(child.lastWords);
    return child.output.endsWith("\n");
  });
  return { address: `127.0.0.1:${child.output.trim()}`, pid: child.pid };
}
