/**
 * From a component to one core module of the core interface, which is then validated, metered and run like any other. Its core
 * modules are joined into one, with their imports of each other resolved for good; its calls of the world become shims over host
 * calls, its hooks exports. Nothing of the component is left, and none of it is ever seen by JavaScript.
 *
 *     component ─▶ core instances ─▶ one module:  imports    host calls
 *                                                 functions  shims │ instance 0 │ instance 1 │ … │ hooks, marker, start
 *                                                 the rest   instance 0 │ instance 1 │ …
 *
 * All active segments are written before the first start function runs; in a component, each when its instance is made. Only a
 * component that overwrites what a start function has made could tell.
 */
import { ABI_HOOKS } from "#sdk/types/abi.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import { exceeded, refused } from "#wasm/validate/reader.ts";
import { describeType, missing, typeOfSignature } from "#wasm/validate/signatures.ts";
import type { FunctionType } from "#wasm/validate/types.ts";
import { CORE_FUNCTION, type CoreInstance, type Item, type Lifted, type Lowered } from "./graph.ts";
import { type JoinedHook, type JoinedModule, joinModules } from "./join.ts";
import { Plan, type PlannedShim } from "./plan.ts";
import { readComponent } from "./read.ts";
import { CoreModules, type Edge } from "./resolve.ts";
import { type Shim, worldShim } from "./shim.ts";
import { dropShim, isWasi, trapShim, wasiShim } from "./wasi.ts";
import { PACKAGE, VERSION, WORLD, WORLD_HOOKS } from "./world.ts";

/** The world and its version, as `PreparedModule.abi` tells it. */
export const COMPONENT_ABI = `${PACKAGE} ${VERSION}`;

const OWN_RESOURCES =
  "resources that a component defines itself are not run here: the world passes none, so let its code keep them in a table of its own";
const COMPOSED =
  "each has a memory of its own, where a plugin has one: build the sources into one component, in place of composing components (`wac plug`, `wasm-tools compose`)";

/** Throws PenstockError (`PENSTOCK_WASM_*`) for what is no component, or one of another world; offsets are the component's. */
export function linkComponent(bytes: Uint8Array, limits: ModuleLimits): JoinedModule {
  const modules = new CoreModules(limits);
  const lifted = hooksOf(readComponent(bytes));
  const [[, first] = []] = lifted;
  if (first === undefined) {
    throw missing(
      `at byte ${bytes.length}: no hook is exported: none of ${Object.keys(WORLD_HOOKS).slice(1).join(", ")}`,
    );
  }
  const { instances } = first;
  for (const [name, { instances: others, offset }] of lifted) {
    if (others !== instances)
      throw refused(offset, `${name} of another component inside than the hooks before it: ${COMPOSED}`);
  }
  bound(instances, limits);
  const plan = new Plan(instances, modules, (edge, type) => shimOf(edge, type, modules));
  if (plan.memories.length !== 1) {
    throw missing(
      `its core modules have ${plan.memories.length} memories, and a plugin has one: let them import it of each other`,
    );
  }
  const hooks = lifted.map(([name, hook]) => joinedHook(name, hook, plan, modules));
  return joinModules(plan, hooks, limits);
}

function hooksOf(exports: ReadonlyMap<string, Item>): (readonly [string, Lifted])[] {
  const hooks: (readonly [string, Lifted])[] = [];
  for (const [name, item] of exports) {
    if (!Object.hasOwn(WORLD_HOOKS, name)) continue;
    if (item.sort !== "function" || item.value.kind !== "lifted") throw missing(`${name} is not a function of its own`);
    hooks.push([name, item.value]);
  }
  return hooks;
}

/** Instances may share a module, and each has the code again. */
function bound(instances: readonly CoreInstance[], limits: ModuleLimits): void {
  let size = 0;
  for (const { module } of instances) {
    size += module.bytes.length;
    if (size > limits.bytesMax) throw exceeded(module.offset, "bytes of core modules", size, limits.bytesMax);
  }
}

function joinedHook(name: string, { core, postReturn, offset }: Lifted, plan: Plan, modules: CoreModules): JoinedHook {
  const exported = WORLD_HOOKS[name] ?? "on_end";
  const target = modules.resolve(core, CORE_FUNCTION, offset);
  const expected = describeType(typeOfSignature(ABI_HOOKS[exported]));
  const found = describeType(plan.typeOf(target));
  if (found !== expected) throw missing(`at byte ${offset}: ${name} has core type ${found}, not ${expected}`);
  return {
    exported,
    core: target,
    postReturn: postReturn === null ? null : modules.resolve(postReturn, CORE_FUNCTION, offset),
  };
}

/** What a function is that the component does not have itself. */
function shimOf(edge: Edge, type: FunctionType, modules: CoreModules): PlannedShim {
  if (edge.kind === "resource") {
    if (edge.does !== "drop") throw refused(edge.offset, `resource.${edge.does}: ${OWN_RESOURCES}`);
    return { shim: dropShim(), realloc: null };
  }
  const shim = standIn(edge, type, modules);
  const expected = describeType(shim.type);
  const found = describeType(type);
  if (found !== expected) throw refused(edge.offset, `import ${nameOf(edge)} has core type ${found}, not ${expected}`);
  const allocator = shim.allocates ? edge.realloc : null;
  if (shim.allocates && allocator === null) {
    throw refused(edge.offset, `import ${nameOf(edge)} without a realloc option: what it answers has to be allocated`);
  }
  return { shim, realloc: allocator === null ? null : modules.resolve(allocator, CORE_FUNCTION, edge.offset) };
}

function standIn({ function: called, offset }: Lowered, type: FunctionType, modules: CoreModules): Shim {
  if (called.kind === "lifted") {
    if (isTrap(called, modules)) return trapShim(type);
    throw refused(offset, `a call from one component inside to another: ${COMPOSED}`);
  }
  const { interface: from, name } = called;
  if (isWasi(from)) return wasiShim(from, name, type);
  const [packageAndName = "", version] = from.split("@");
  const [packageName, interfaceName = ""] = packageAndName.split("/");
  const isOurs = packageName === PACKAGE && version === VERSION && Object.hasOwn(WORLD, interfaceName);
  const rows = isOurs ? (WORLD[interfaceName] ?? {}) : {};
  const row = Object.hasOwn(rows, name) ? rows[name] : undefined;
  if (row !== undefined) return worldShim(row);
  throw refused(called.offset, `unknown import ${from}.${name}: the world is ${PACKAGE}/plugin@${VERSION}`);
}

function nameOf({ function: called }: Lowered): string {
  return called.kind === "import" ? `${called.interface}.${called.name}` : "of a component inside";
}

/** Toolchains put such a component in the place of imports that nobody is to use. */
function isTrap({ core, offset }: Lifted, modules: CoreModules): boolean {
  const target = modules.resolve(core, CORE_FUNCTION, offset);
  if (target.kind !== "defined") return false;
  const module = modules.of(target.instance);
  const body = module.bodies[target.index];
  // No locals, `unreachable`, `end`.
  return body !== undefined && Buffer.from(module.bytes.subarray(body.start, body.end)).equals(TRAP);
}

const TRAP = Buffer.from([0, 0, 0x0b]);
