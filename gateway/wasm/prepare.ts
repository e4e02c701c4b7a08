/**
 * From uploaded bytes to the module that workers run: validate, read, refuse, meter. Pure and deterministic: the same
 * bytes and limits give the same digest on every machine. Runs in the builder process; its time is bounded there.
 *
 * `WebAssembly.validate` comes first, always: the passes below rely on it, and a rewriter can make a valid module out of
 * an invalid one.
 */
import { createHash } from "node:crypto";
import { wasmError } from "#core/errors/wasm.ts";
import { COMPONENT_ABI, linkComponent } from "./component/link.ts";
import type { Stretch } from "./meter/emit.ts";
import { meterModule } from "./meter/rewrite.ts";
import { checkInterface } from "./validate/interface.ts";
import { type GuestKind, isComponent } from "./validate/kind.ts";
import { DEFAULT_MODULE_LIMITS, type ModuleLimits } from "./validate/limits.ts";
import { type ModuleShape, readModule } from "./validate/module.ts";

export { DEFAULT_MODULE_LIMITS, type ModuleLimits } from "./validate/limits.ts";

/** Plain data: it travels between processes. */
export interface PreparedModule {
  /** The metered module. */
  readonly bytes: Uint8Array;
  /** SHA-256 (hex) of `bytes`: `PluginSpec.digest`. */
  readonly digest: string;
  /** SHA-256 (hex) of what was uploaded. */
  readonly sourceDigest: string;
  readonly kind: GuestKind;
  /** The interface and its version, `penstock 1`. */
  readonly abi: string;
  /** Host calls it imports. */
  readonly imports: readonly string[];
  /** Names it exports itself. */
  readonly exports: readonly string[];
  readonly hooks: readonly string[];
  /** It can wait for a fetch, so it runs from a pool under WebAssembly.promising. */
  readonly suspends: boolean;
  /** 64 KiB pages. */
  readonly memoryPages: { readonly min: number; readonly max: number };
  readonly functionCount: number;
}

/** Throws PenstockError (`PENSTOCK_WASM_*`); the detail names the byte offset and the reason. */
export function prepareModule(bytes: Uint8Array, limits: ModuleLimits = DEFAULT_MODULE_LIMITS): PreparedModule {
  if (!isComponent(bytes)) return prepareCore(bytes, limits, null);
  if (bytes.length > limits.bytesMax) throw tooLong(bytes, limits);
  const { module, origins } = linkComponent(bytes, limits);
  const prepared = prepareCore(module, limits, origins);
  return { ...prepared, sourceDigest: sha256(bytes), kind: "component", abi: COMPONENT_ABI };
}

/** `origins`: where its code stood in what the author has uploaded; null: there. */
function prepareCore(bytes: Uint8Array, limits: ModuleLimits, origins: readonly Stretch[] | null): PreparedModule {
  const shape = validateModule(bytes, limits);
  const { kind, abi, imports, hooks, suspends } = checkInterface(shape);
  const metered = meterModule(bytes, shape, limits, origins);
  return {
    bytes: metered,
    digest: sha256(metered),
    sourceDigest: sha256(bytes),
    kind,
    abi,
    imports,
    exports: shape.exports.map((entry) => entry.name),
    hooks,
    suspends,
    memoryPages: { min: shape.memory?.min ?? 0, max: shape.memory?.max ?? 0 },
    functionCount: shape.functions.length,
  };
}

/** The engine's verdict, then ours, without regard to the plugin interface. */
export function validateModule(bytes: Uint8Array, limits: ModuleLimits): ModuleShape {
  if (bytes.length > limits.bytesMax) throw tooLong(bytes, limits);
  if (bytes.length < 8) throw wasmError("PENSTOCK_WASM_INVALID", { detail: `at byte ${bytes.length}: unexpected end` });
  const copy = new Uint8Array(bytes); // the engine wants an ArrayBuffer that nobody shares
  if (!WebAssembly.validate(copy)) throw wasmError("PENSTOCK_WASM_INVALID", { detail: engineReason(copy) });
  return readModule(bytes, limits);
}

function tooLong(bytes: Uint8Array, limits: ModuleLimits): Error {
  return wasmError("PENSTOCK_WASM_LIMIT", { detail: `${bytes.length} bytes exceed ${limits.bytesMax}` });
}

/** `at byte 26: expected 1 elements on the stack …`, from the engine's own message (`… @+26`). */
function engineReason(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    new WebAssembly.Module(bytes);
  } catch (error) {
    const text = error instanceof Error ? error.message.replace("WebAssembly.Module(): ", "") : String(error);
    const offset = /^(.*) @\+(\d+)$/s.exec(text);
    return offset === null ? text : `at byte ${offset[2]}: ${offset[1]}`;
  }
  return "the engine refused it without a reason";
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
