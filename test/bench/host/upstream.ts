/** Compiles upstream.c into a temporary directory and starts it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Unavailable } from "#test/bench/unavailable.ts";
import type { Scope } from "./scope.ts";
import { until } from "./until.ts";

export interface Upstream {
  /** `127.0.0.1:PORT` */
  readonly address: string;
  readonly pid: number;
}

/** `bodyBytes`: of every answer. */
export async function startUpstream(scope: Scope, cpu: number, bodyBytes = 100): Promise<Upstream> {
  const binary = join(scope.directory(), "upstream");
  const source = join(import.meta.dirname, "..", "upstream.c");
  const built = spawnSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], { encoding: "utf8" });
  if (built.error !== undefined) throw new Unavailable("gcc is not installed (apt-get install gcc libc6-dev)");
  if (built.status !== 0) throw new Error(`the upstream does not compile:\n${built.stderr}`);
  const child = scope.spawn(binary, [String(bodyBytes)], { cpu });
  await until("the upstream listens", () => {
    if (child.ended) throw new Error(child.lastWords);
    return child.output.endsWith("\n");
  });
  return { address: `127.0.0.1:${child.output.trim()}`, pid: child.pid };
}
