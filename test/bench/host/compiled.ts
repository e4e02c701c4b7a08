/** Programs in C that a bench needs, compiled into its directory. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { Unavailable } from "#test/bench/unavailable.ts";
import type { Scope } from "./scope.ts";

/** The binary of `test/bench/<name>.c`. */
export function compiled(scope: Scope, name: string): string {
  const binary = join(scope.directory(), name);
  const source = join(import.meta.dirname, "..", `${name}.c`);
  const built = spawnSync("gcc", ["-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], { encoding: "utf8" });
  if (built.error !== undefined) throw new Unavailable("gcc is not installed (apt-get install gcc libc6-dev)");
  if (built.status !== 0) throw new Error(`${name}.c does not compile:\n${built.stderr}`);
  return binary;
}
