/**
 * What a metered module has beyond its source. Everything is appended, so no index of the source changes:
 *
 *     types      () → i32, (i32) → (), (i32) → i32, () → ()
 *     functions  fuel () → i32, refuel (i32), grow (i32) → i32, save (), restore ()
 *     globals    fuel, pagesMax, growthRefused: mutable i32; one for each mutable global of the source
 *     exports    __penstock_fuel, __penstock_refuel, __penstock_pages_max, __penstock_growth_refused, __penstock_start,
 *                __penstock_save, __penstock_restore
 *
 * `save` copies the source's mutable globals, `restore` puts back what was copied: with the memory's bytes, which the host keeps,
 * that is all of a guest's state, unless the module changes tables or drops segments. The custom section `penstock.whole`
 * says that it does not.
 *
 * The fuel is read and written through two functions because that costs half of what a WebAssembly.Global's `value`
 * does from JavaScript (14 ns against 32 ns for the pair and a call).
 */
import type { ModuleShape } from "#wasm/validate/module.ts";
import { F32, F64, I32, I64, KIND_FUNCTION, KIND_GLOBAL, V128 } from "#wasm/validate/types.ts";
import { GROW_COST, GROW_PAGE_SHIFT } from "./costs.ts";
import { ByteWriter } from "./writer.ts";

export const EXPORT_FUEL = "__penstock_fuel";
export const EXPORT_REFUEL = "__penstock_refuel";
export const EXPORT_PAGES_MAX = "__penstock_pages_max";
export const EXPORT_GROWTH_REFUSED = "__penstock_growth_refused";
export const EXPORT_START = "__penstock_start";
export const EXPORT_SAVE = "__penstock_save";
export const EXPORT_RESTORE = "__penstock_restore";
/** Custom section: memory and globals are all that code of this module changes. */
export const WHOLE_SECTION = "penstock.whole";

export interface Additions {
  readonly typeFuel: number;
  readonly typeRefuel: number;
  readonly typeGrow: number;
  readonly fuelFunction: number;
  readonly refuelFunction: number;
  readonly growFunction: number;
  readonly typeNothing: number;
  readonly saveFunction: number;
  readonly restoreFunction: number;
  /** The source's mutable globals, and where each is kept. */
  readonly kept: readonly { readonly global: number; readonly copy: number; readonly type: number }[];
  readonly fuelGlobal: number;
  readonly pagesMaxGlobal: number;
  readonly growthRefusedGlobal: number;
}

export const ADDED_TYPES = 4;
const OWN_GLOBALS = 3;

export function addedGlobals(add: Additions): number {
  return OWN_GLOBALS + add.kept.length;
}

export function additionsTo(shape: ModuleShape): Additions {
  const firstFunction = shape.imports.length + shape.functions.length;
  return {
    typeFuel: shape.types.length,
    typeRefuel: shape.types.length + 1,
    typeGrow: shape.types.length + 2,
    fuelFunction: firstFunction,
    refuelFunction: firstFunction + 1,
    growFunction: firstFunction + 2,
    typeNothing: shape.types.length + 3,
    saveFunction: firstFunction + (shape.memory === undefined ? 2 : 3),
    restoreFunction: firstFunction + (shape.memory === undefined ? 3 : 4),
    kept: keptGlobals(shape),
    fuelGlobal: shape.globalCount,
    pagesMaxGlobal: shape.globalCount + 1,
    growthRefusedGlobal: shape.globalCount + 2,
  };
}

function keptGlobals({ globals, globalCount }: ModuleShape): Additions["kept"] {
  const kept: { global: number; copy: number; type: number }[] = [];
  for (const [global, { type, mutable }] of globals.entries()) {
    if (mutable) kept.push({ global, copy: globalCount + OWN_GLOBALS + kept.length, type });
  }
  return kept;
}

export function writeTypes(out: ByteWriter): void {
  out.code(0x60, 0, 1, I32);
  out.code(0x60, 1, I32, 0);
  out.code(0x60, 1, I32, 1, I32);
  out.code(0x60, 0, 0);
}

/** Type indices of the added functions, in order. */
export function addedFunctions(add: Additions, shape: ModuleShape): readonly number[] {
  const functions = [add.typeFuel, add.typeRefuel];
  if (shape.memory !== undefined) functions.push(add.typeGrow);
  functions.push(add.typeNothing, add.typeNothing);
  return functions;
}

export function writeGlobals(out: ByteWriter, add: Additions, shape: ModuleShape): void {
  for (const value of [0, shape.memory?.max ?? 0, 0]) {
    out.code(I32, 1, 0x41);
    out.s32(value);
    out.u8(0x0b);
  }
  for (const { type } of add.kept) {
    out.code(type, 1);
    writeZero(out, type);
    out.u8(0x0b);
  }
}

/** A constant of the type: zero, or a reference to nothing. */
function writeZero(out: ByteWriter, type: number): void {
  if (type === I32) out.code(0x41, 0);
  else if (type === I64) out.code(0x42, 0);
  else if (type === F32) out.code(0x43, 0, 0, 0, 0);
  else if (type === F64) out.code(0x44, 0, 0, 0, 0, 0, 0, 0, 0);
  else if (type === V128) out.code(0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  else out.code(0xd0, type);
}

/** `global.get from, global.set to` for each of them. */
function copyBody(pairs: readonly (readonly [from: number, to: number])[]): ByteWriter {
  const body = new ByteWriter(16 + 12 * pairs.length);
  body.u8(0);
  for (const [from, to] of pairs) {
    body.u8(0x23);
    body.u32(from);
    body.u8(0x24);
    body.u32(to);
  }
  body.u8(0x0b);
  return body;
}

export function addedExports(add: Additions, shape: ModuleShape): readonly (readonly [string, number, number])[] {
  const exports: [string, number, number][] = [
    [EXPORT_FUEL, KIND_FUNCTION, add.fuelFunction],
    [EXPORT_REFUEL, KIND_FUNCTION, add.refuelFunction],
    [EXPORT_PAGES_MAX, KIND_GLOBAL, add.pagesMaxGlobal],
    [EXPORT_GROWTH_REFUSED, KIND_GLOBAL, add.growthRefusedGlobal],
    [EXPORT_SAVE, KIND_FUNCTION, add.saveFunction],
    [EXPORT_RESTORE, KIND_FUNCTION, add.restoreFunction],
  ];
  if (shape.start !== undefined) exports.push([EXPORT_START, KIND_FUNCTION, shape.start]);
  return exports;
}

export function writeBodies(out: ByteWriter, add: Additions, shape: ModuleShape): void {
  const fuel = new ByteWriter(16);
  fuel.code(0, 0x23);
  fuel.u32(add.fuelGlobal);
  fuel.u8(0x0b);
  const refuel = new ByteWriter(16);
  refuel.code(0, 0x20, 0, 0x24);
  refuel.u32(add.fuelGlobal);
  refuel.u8(0x0b);
  const bodies = [fuel, refuel];
  if (shape.memory !== undefined) bodies.push(growBody(add));
  bodies.push(copyBody(add.kept.map(({ global, copy }) => [global, copy])));
  bodies.push(copyBody(add.kept.map(({ global, copy }) => [copy, global])));
  for (const body of bodies) {
    out.u32(body.length);
    out.raw(body.bytes());
  }
}

/**
 *     (func (param $pages i32) (result i32)
 *       (charge GROW_COST)
 *       (if (i32.gt_u $pages (i32.sub $pagesMax (memory.size)))
 *         (then (global.set $growthRefused 1) (return -1)))
 *       (charge $pages << GROW_PAGE_SHIFT)
 *       (memory.grow $pages))
 *
 * The second charge can't overflow: no more than 65536 pages are left.
 */
function growBody(add: Additions): ByteWriter {
  const body = new ByteWriter(96);
  const charge = (price: () => void) => {
    body.u8(0x23); // global.get
    body.u32(add.fuelGlobal);
    price();
    body.code(0x6b, 0x24); // i32.sub, global.set
    body.u32(add.fuelGlobal);
    body.u8(0x23);
    body.u32(add.fuelGlobal);
    body.code(0x41, 0, 0x48, 0x04, 0x40, 0x00, 0x0b); // i32.const 0, i32.lt_s, if, unreachable, end
  };
  body.u8(0); // no locals
  charge(() => {
    body.u8(0x41);
    body.s32(GROW_COST);
  });
  body.code(0x20, 0, 0x23); // local.get 0, global.get
  body.u32(add.pagesMaxGlobal);
  body.code(0x3f, 0, 0x6b, 0x4b, 0x04, 0x40); // memory.size, i32.sub, i32.gt_u, if
  body.code(0x41, 1, 0x24); // i32.const 1, global.set
  body.u32(add.growthRefusedGlobal);
  body.code(0x41, 0x7f, 0x0f, 0x0b); // i32.const -1, return, end
  charge(() => {
    body.code(0x20, 0, 0x41); // local.get 0, i32.const
    body.s32(GROW_PAGE_SHIFT);
    body.u8(0x74); // i32.shl
  });
  body.code(0x20, 0, 0x40, 0, 0x0b); // local.get 0, memory.grow 0, end
  return body;
}
