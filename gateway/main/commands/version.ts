/** The version this checkout or installation says it is. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Installation } from "#main/confine/installation.ts";

export function penstockVersion({ root }: Installation): string {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return version;
}
