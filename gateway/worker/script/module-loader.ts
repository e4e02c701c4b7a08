/**
 * Modules of scripts, from memory: Node resolves and loads them by hooks, under the URL of their file marked with the number of
 * their program, so that each program is evaluated afresh, and what it throws names file and line.
 *
 *     file:///etc/penstock/router.ts?penstock=3
 *
 * `penstock` is the gateway's own module, shared by all; `node:` modules are Node's. Nothing else can be imported: what a
 * script needs comes with its bundle. A program's modules stay in memory after it, as Node forgets no module.
 */
import { registerHooks, type LoadFnOutput, type ResolveFnOutput } from "node:module";
import { scriptError } from "#core/errors/script.ts";
import type { ScriptBundle } from "./protocol.ts";

const MARK = /\?penstock=(\d+)$/;
const PENSTOCK = new URL("../../../plugins/penstock.ts", import.meta.url).href;

const bundles = new Map<string, ReadonlyMap<string, string>>();
let last = 0;
let hooked = false;

/** The bundle's entry, evaluated for the first time. Rejects with what it throws. */
export async function importBundle({ entry, modules }: ScriptBundle): Promise<void> {
  if (!hooked) hook();
  const number = String(++last);
  bundles.set(number, new Map(modules.map(({ url, source }) => [url, source])));
  try {
    await import(`${entry}?penstock=${number}`);
  } finally {
    bundles.delete(number);
  }
}

function hook(): void {
  hooked = true;
  registerHooks({
    resolve: (specifier, context, next) => resolveScript(specifier, context.parentURL) ?? next(specifier, context),
    load: (url, context, next) => loadScript(url) ?? next(url, context),
  });
}

function resolveScript(specifier: string, parent: string | undefined): ResolveFnOutput | null {
  const own = MARK.exec(specifier);
  if (own !== null) return { url: specifier, shortCircuit: true };
  const number = parent === undefined ? undefined : MARK.exec(parent)?.[1];
  if (number === undefined || parent === undefined || specifier.startsWith("node:")) return null;
  if (specifier === "penstock") return { url: PENSTOCK, shortCircuit: true };
  const url = URL.canParse(specifier, parent) ? new URL(specifier, parent).href : specifier;
  if (bundles.get(number)?.has(url) !== true) {
    throw scriptError("PENSTOCK_SCRIPT_IMPORT", {
      detail: `${JSON.stringify(specifier)} in ${parent.replace(MARK, "")}`,
    });
  }
  return { url: `${url}?penstock=${number}`, shortCircuit: true };
}

function loadScript(url: string): LoadFnOutput | null {
  const number = MARK.exec(url)?.[1];
  if (number === undefined) return null;
  const file = url.replace(MARK, "");
  const source = bundles.get(number)?.get(file) ?? "";
  return { format: formatOf(file), source, shortCircuit: true };
}

function formatOf(file: string): string {
  if (file.endsWith(".json")) return "json";
  return /\.[cm]?ts$/.test(file) ? "module-typescript" : "module";
}
