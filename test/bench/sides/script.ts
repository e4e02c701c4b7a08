/** Our gateway with a script, started as a user starts it: `penstock run --script FILE --data DIR --workers 1`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "#test/bench/host/probe.ts";
import type { Scope } from "#test/bench/host/scope.ts";
import { ready, type Side } from "./side.ts";

const COMMAND = join(import.meta.dirname, "../../../gateway/main/penstock.sh");

/** `text`: of the script, which listens on `port`. `headers`: with which it answers 200. */
export async function startScript(
  scope: Scope,
  name: string,
  cpu: number,
  text: (port: number) => string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Side> {
  const directory = scope.directory();
  const port = await freePort();
  const file = join(directory, "script.ts");
  writeFileSync(file, text(port));
  const run = ["run", "--script", file, "--data", join(directory, "data"), "--workers", "1"];
  const child = scope.spawn("sh", [COMMAND, ...run], { cpu });
  return ready({ name, origin: `http://127.0.0.1:${port}`, child }, headers);
}
