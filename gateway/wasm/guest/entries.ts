/**
 * The functions of a guest that the host calls: exports as they are, or what an interposer has put in their place. The meter's own
 * (`fuel`, `refuel`) are none of them: they move no code of the plugin.
 */
import { EXPORT_FUEL, EXPORT_REFUEL } from "#wasm/meter/additions.ts";
import type { Guest } from "./guest.ts";
import type { GuestFunction, Interposer } from "./runtime.ts";

type Take = (run: GuestFunction) => GuestFunction;

interface Original {
  readonly run: GuestFunction;
  readonly take: Take;
}

/** What stands behind each entry of an interposer. */
const originals = new WeakMap<GuestFunction, Original>();

export function interposedExports(
  exports: Readonly<Record<string, unknown>>,
  guest: Guest,
  { entry }: Interposer,
): Readonly<Record<string, unknown>> {
  if (entry === undefined) return exports;
  const all = Object.entries(exports).map(([name, value]): [string, unknown] => {
    if (typeof value !== "function" || name === EXPORT_FUEL || name === EXPORT_REFUEL) return [name, value];
    const run = value as GuestFunction;
    const take: Take = (real) => entry(name, real, guest);
    const used = take(run);
    originals.set(used, { run, take });
    return [name, used];
  });
  return Object.fromEntries(all);
}

/** A hook as one that can be suspended. Only what the module itself exports can be: an interposer comes around that. */
export function suspendable(hook: (...args: number[]) => unknown): (...args: number[]) => Promise<unknown> {
  const made = around(hook as GuestFunction, (run) => WebAssembly.promising(run) as GuestFunction);
  return made as (...args: number[]) => Promise<unknown>;
}

/** Another way into a hook, made of what the module itself exports: an interposer comes around that as well. */
export function around(hook: GuestFunction, make: (run: GuestFunction) => GuestFunction): GuestFunction {
  const original = originals.get(hook);
  if (original === undefined) return make(hook);
  const made = make(original.run);
  // By that an interposer knows how many arguments there are.
  if (made.length !== original.run.length) Object.defineProperty(made, "length", { value: original.run.length });
  return original.take(made);
}
