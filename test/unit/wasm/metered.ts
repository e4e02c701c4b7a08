/** Runs one export of a module, as it is and metered, and tells what happened in terms that can be compared. */
import "#wasm/engine.ts";
import { meterModule } from "#wasm/meter/rewrite.ts";
import { DEFAULT_MODULE_LIMITS, type ModuleLimits } from "#wasm/validate/limits.ts";
import { validateModule } from "#wasm/prepare.ts";

type Exports = Record<string, (...args: (number | bigint)[]) => unknown>;

export interface Outcome {
  /** The result, or the engine's word for the trap. */
  readonly result: unknown;
  /** SHA-like sum over memory and exported globals: what the call left behind. */
  readonly state: string;
}

export interface MeteredOutcome extends Outcome {
  readonly fuel: number;
}

export function meter(bytes: Uint8Array, limits: ModuleLimits = DEFAULT_MODULE_LIMITS): Uint8Array {
  return meterModule(bytes, validateModule(bytes, limits), limits);
}

export function instantiate(bytes: Uint8Array, imports: Record<string, WebAssembly.ModuleImports> = {}): Exports {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports as Exports;
}

function stateOf(exports: Record<string, unknown>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(exports)) {
    if (name.startsWith("__penstock_")) continue;
    if (value instanceof WebAssembly.Global) parts.push(`${name}=${value.value}`);
    if (value instanceof WebAssembly.Memory) {
      let sum = 0;
      for (const byte of new Uint8Array(value.buffer)) sum = (Math.imul(sum, 31) + byte) | 0;
      parts.push(`${name}:${value.buffer.byteLength}:${sum}`);
    }
  }
  return parts.join(" ");
}

function attempt(call: () => unknown): unknown {
  try {
    const result = call();
    // NaN payloads may differ between runs of the same code: only that it is one counts.
    return Object.is(result, NaN) ? "NaN" : result;
  } catch (error) {
    return error instanceof Error ? `${error.constructor.name}: ${error.message}` : String(error);
  }
}

export function runPlain(bytes: Uint8Array, name: string, args: readonly (number | bigint)[]): Outcome {
  const exports = instantiate(bytes);
  const result = attempt(() => exports[name]?.(...args));
  return { result, state: stateOf(exports) };
}

export function runMetered(
  metered: Uint8Array,
  name: string,
  args: readonly (number | bigint)[],
  fuel = 1_000_000_000,
): MeteredOutcome {
  const exports = instantiate(metered);
  exports.__penstock_refuel?.(fuel);
  exports.__penstock_start?.();
  const result = attempt(() => exports[name]?.(...args));
  return { result, state: stateOf(exports), fuel: fuel - Number(exports.__penstock_fuel?.()) };
}
