/**
 * Decides, for one function body, what is inserted where. Two kinds of region pay on entry for all the instructions
 * they hold, both arms of an `if` included: the function as a whole (loops left out), and each loop (nested loops left
 * out) each time its head is passed. Every way back leads over a loop head or a function entry, so nothing can run
 * without paying; and since the price of a region is fixed, the same input costs the same fuel.
 *
 *     (func            ← charge: the function's own instructions
 *       …
 *       (loop          ← charge: the loop's own instructions, at every turn
 *         … (loop …)   ← its own charge
 *         (br 0)))
 *
 * A function with a loop in which nothing is called keeps its fuel in a local (`cached`): the global is loaded at
 * entry, stored before every call and every way out, loaded again after calls.
 */
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import type { BodyShape } from "#wasm/validate/module.ts";
import { ByteReader, exceeded } from "#wasm/validate/reader.ts";
import { readValueType } from "#wasm/validate/types.ts";
import {
  BULK_DATA_DROP,
  BULK_ELEM_DROP,
  BULK_MEMORY_COPY,
  BULK_MEMORY_FILL,
  BULK_MEMORY_INIT,
  BULK_TABLE_COPY,
  BULK_TABLE_FILL,
  BULK_TABLE_GROW,
  BULK_TABLE_INIT,
  Instructions,
  OP_BLOCK,
  OP_BR,
  OP_BR_IF,
  OP_BR_TABLE,
  OP_BULK,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_IF,
  OP_LOOP,
  OP_MEMORY_GROW,
  OP_RETURN,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
  OP_TABLE_SET,
} from "#wasm/validate/instructions.ts";
import {
  FUNCTION_COST,
  HOST_CALL_COST,
  LOCALS_PER_UNIT,
  LOOP_COST,
  TABLE_COST,
  TABLE_GROW_COST,
  instructionCost,
} from "./costs.ts";

/** Charge the region `argument`. */
export const INSERT_CHARGE = 0;
/** Charge by the length on top of the stack: bytes of memory. */
export const INSERT_BULK_MEMORY = 1;
/** The same: elements of a table. */
export const INSERT_BULK_TABLE = 2;
/** Local to global, before what may read it or leave. */
export const INSERT_STORE = 3;
/** Global to local, after what may have changed it. */
export const INSERT_LOAD = 4;
/** Stands for a memory.grow of `argument` bytes, which is left out. */
export const INSERT_GROW = 5;

export interface Insertion {
  /** Offset in the source before which it stands. */
  readonly at: number;
  readonly kind: number;
  readonly argument: number;
}

export interface BodyPlan {
  readonly insertions: readonly Insertion[];
  /** Fuel of each region; the first is the function. */
  readonly costs: readonly number[];
  readonly cached: boolean;
  /** A bulk instruction needs a local for its length. */
  readonly bulk: boolean;
  /** Tables or segments are changed. */
  readonly changesMore: boolean;
  /** Groups of the locals' declaration, and where they stand. */
  readonly localGroups: number;
  readonly localsStart: number;
  readonly codeStart: number;
  readonly localCount: number;
}

interface Region {
  cost: number;
  calls: boolean;
}

interface LoopFrame {
  readonly region: number;
  /** How many blocks are open around it. */
  readonly depth: number;
}

/** `importCount`: functions below this index are the host's. */
export function planBody(bytes: Uint8Array, body: BodyShape, importCount: number, limits: ModuleLimits): BodyPlan {
  const locals = readLocals(bytes, body, limits);
  const planner = new Planner(importCount, limits, locals.count);
  const instructions = new Instructions(bytes, locals.end, body.end, limits);
  planner.insert(locals.end, INSERT_CHARGE, 0);
  while (!instructions.done) {
    instructions.next();
    planner.take(instructions);
  }
  return {
    insertions: planner.insertions,
    costs: planner.regions.map((region) => region.cost),
    cached: planner.regions.some((region, index) => index > 0 && !region.calls),
    bulk: planner.bulk,
    changesMore: planner.changesMore,
    localGroups: locals.groups,
    localsStart: locals.start,
    codeStart: locals.end,
    localCount: locals.count,
  };
}

function readLocals(bytes: Uint8Array, body: BodyShape, limits: ModuleLimits) {
  const reader = new ByteReader(bytes, body.start, body.end);
  const groups = reader.u32();
  const start = reader.at;
  let count = 0;
  for (let group = 0; group < groups; group++) {
    const offset = reader.at;
    count += reader.u32();
    if (count > limits.localsMax) throw exceeded(offset, "locals of a function", count, limits.localsMax);
    readValueType(reader);
  }
  return { groups, start, end: reader.at, count };
}

class Planner {
  readonly insertions: Insertion[] = [];
  readonly regions: Region[];
  bulk = false;
  changesMore = false;
  readonly #importCount: number;
  readonly #limits: ModuleLimits;
  readonly #loops: LoopFrame[] = [];
  #depth = 0;

  constructor(importCount: number, limits: ModuleLimits, localCount: number) {
    this.#importCount = importCount;
    this.#limits = limits;
    const cost = FUNCTION_COST + Math.ceil(localCount / LOCALS_PER_UNIT);
    this.regions = [{ cost, calls: true }];
  }

  insert(at: number, kind: number, argument: number): void {
    this.insertions.push({ at, kind, argument });
  }

  get #region(): Region {
    return this.regions[this.#loops.at(-1)?.region ?? 0] as Region;
  }

  take(instruction: Instructions): void {
    const region = this.#region;
    region.cost += instructionCost(instruction.opcode);
    switch (instruction.opcode) {
      case OP_BLOCK:
      case OP_IF:
        this.#open(instruction);
        break;
      case OP_LOOP:
        this.#open(instruction);
        this.#loop(instruction);
        break;
      case OP_END:
        this.#end(instruction);
        break;
      case OP_BR:
      case OP_BR_IF:
        if (instruction.index === this.#depth) this.insert(instruction.start, INSERT_STORE, 0);
        break;
      case OP_BR_TABLE:
        if (instruction.labels.includes(this.#depth)) this.insert(instruction.start, INSERT_STORE, 0);
        break;
      case OP_RETURN:
        this.insert(instruction.start, INSERT_STORE, 0);
        break;
      case OP_CALL:
      case OP_CALL_INDIRECT:
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
        this.#call(instruction, region);
        break;
      case OP_MEMORY_GROW:
        region.calls = true;
        this.insert(instruction.start, INSERT_STORE, 0);
        this.insert(instruction.start, INSERT_GROW, instruction.end - instruction.start);
        this.insert(instruction.end, INSERT_LOAD, 0);
        break;
      case OP_BULK:
        this.#bulk(instruction);
        break;
      case OP_TABLE_SET:
        this.changesMore = true;
        break;
      default:
        break;
    }
  }

  #open(instruction: Instructions): void {
    this.#depth++;
    if (this.#depth > this.#limits.nestingMax) {
      throw exceeded(instruction.start, "nested blocks", this.#depth, this.#limits.nestingMax);
    }
  }

  #loop(instruction: Instructions): void {
    this.#loops.push({ region: this.regions.length, depth: this.#depth });
    this.insert(instruction.end, INSERT_CHARGE, this.regions.length);
    this.regions.push({ cost: LOOP_COST, calls: false });
  }

  #end(instruction: Instructions): void {
    if (this.#depth === 0) {
      this.insert(instruction.start, INSERT_STORE, 0); // the end of the function
      return;
    }
    const loop = this.#loops.at(-1);
    if (loop?.depth === this.#depth) {
      const inner = this.#region;
      this.#loops.pop();
      // A loop around a loop with calls has calls itself.
      if (inner.calls) this.#region.calls = true;
    }
    this.#depth--;
  }

  #call(instruction: Instructions, region: Region): void {
    const { opcode } = instruction;
    const direct = opcode === OP_CALL || opcode === OP_RETURN_CALL;
    if (direct && instruction.index < this.#importCount) region.cost += HOST_CALL_COST;
    region.calls = true;
    this.insert(instruction.start, INSERT_STORE, 0);
    if (opcode === OP_CALL || opcode === OP_CALL_INDIRECT) this.insert(instruction.end, INSERT_LOAD, 0);
  }

  #bulk(instruction: Instructions): void {
    switch (instruction.sub) {
      case BULK_MEMORY_INIT:
      case BULK_MEMORY_COPY:
      case BULK_MEMORY_FILL:
        this.bulk = true;
        this.insert(instruction.start, INSERT_BULK_MEMORY, 0);
        break;
      case BULK_TABLE_GROW:
        this.#table(instruction, TABLE_GROW_COST);
        break;
      case BULK_TABLE_INIT:
      case BULK_TABLE_COPY:
      case BULK_TABLE_FILL:
        this.#table(instruction, TABLE_COST);
        break;
      case BULK_DATA_DROP:
      case BULK_ELEM_DROP:
        this.changesMore = true;
        break;
      default:
        break;
    }
  }

  #table(instruction: Instructions, cost: number): void {
    this.bulk = true;
    this.changesMore = true;
    this.#region.cost += cost;
    this.insert(instruction.start, INSERT_BULK_TABLE, 0);
  }
}
