/** Plugins loaded and dropped, again and again, in a process of their own: memory stays flat, and no guest is left. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export interface PluginsReloaded {
  readonly reloads: number;
  /** From the first reading, when caches are warm, to the last. */
  readonly grownBytes: number;
  readonly guestsLeft: number;
}

export async function reloads(count: number): Promise<PluginsReloaded> {
  const script = join(import.meta.dirname, "reloads-child.ts");
  const flags = ["--no-warnings", "--expose-gc", "--disable-wasm-trap-handler"];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, script, String(count)]);
  const told = JSON.parse(stdout) as { reloads: number; readings: number[]; guestsLeft: number };
  const [first = 0] = told.readings;
  return { reloads: told.reloads, grownBytes: (told.readings.at(-1) ?? 0) - first, guestsLeft: told.guestsLeft };
}
