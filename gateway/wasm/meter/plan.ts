/**
 * Decides, for one function body, what is inserted where. Fuel is paid by scopes: the function as a whole, each loop at every turn,
 * and what a branch may leave out (an arm of an `if`, what follows a `br_if`, what follows the end of a block that was branched
 * out of). A scope reaches to the end of the block that it begins in, so nothing in it runs without passing its beginning; every
 * way back leads over a loop head or a function entry; and since the price of a scope is fixed, the same input costs the same fuel.
 *
 *     (func            ← charge: the function's own instructions
 *       (if … (then    ← a scope: with its parent while it is small
 *       (loop          ← charge: the loop's own instructions, at every turn
 *         (br_if …)
 *         …            ← a scope
 *         (br 0)))
 *
 * A charge costs about as much as three instructions, so scopes are charged with the one that they are in as long as that adds no
 * more than MERGED_MAX to it: so much at most is paid for and not run, each time that a charge is passed.
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
  OP_ELSE,
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
  MERGED_MAX,
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

/** What is paid for at one place. */
interface Scope {
  /** Where it begins. */
  readonly at: number;
  cost: number;
  /** Of it, what smaller scopes in it have added. */
  merged: number;
  /** It is never charged with another. */
  readonly isOwn: boolean;
}

/** A block, loop or if that is open. */
interface Frame {
  /** How many scopes are open around it. */
  readonly scopes: number;
  readonly isLoop: boolean;
  /** Something is called in it. */
  calls: boolean;
  /** The outermost frame that a branch in it leads to, as a number of frames around that. */
  branchesTo: number;
}

/** `importCount`: functions below this index are the host's. */
export function planBody(bytes: Uint8Array, body: BodyShape, importCount: number, limits: ModuleLimits): BodyPlan {
  const locals = readLocals(bytes, body, limits);
  const planner = new Planner(importCount, limits, locals);
  const instructions = new Instructions(bytes, locals.end, body.end, limits);
  while (!instructions.done) {
    instructions.next();
    planner.take(instructions);
  }
  return {
    insertions: planner.inOrder(),
    costs: planner.costs,
    cached: planner.hasQuietLoop,
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
  readonly #insertions: Insertion[] = [];
  /** Of each charge. */
  readonly costs: number[] = [0];
  /** There is a loop in which nothing is called. */
  hasQuietLoop = false;
  bulk = false;
  changesMore = false;
  readonly #importCount: number;
  readonly #limits: ModuleLimits;
  readonly #frames: Frame[] = [];
  readonly #scopes: Scope[];

  constructor(importCount: number, limits: ModuleLimits, locals: { readonly count: number; readonly end: number }) {
    this.#importCount = importCount;
    this.#limits = limits;
    const cost = FUNCTION_COST + Math.ceil(locals.count / LOCALS_PER_UNIT);
    this.#scopes = [{ at: locals.end, cost, merged: 0, isOwn: true }];
  }

  /**
   * Sorted by their places. At one place first what belongs to the instruction before it: fuel in the local is paid before it is
   * stored.
   */
  inOrder(): readonly Insertion[] {
    const rank = ({ kind }: Insertion): number => (kind === INSERT_CHARGE || kind === INSERT_LOAD ? 0 : 1);
    return this.#insertions.toSorted((a, b) => a.at - b.at || rank(a) - rank(b));
  }

  #insert(at: number, kind: number, argument: number): void {
    this.#insertions.push({ at, kind, argument });
  }

  take(instruction: Instructions): void {
    this.#charge(instructionCost(instruction.opcode));
    switch (instruction.opcode) {
      case OP_BLOCK:
        this.#open(instruction, false);
        break;
      case OP_IF:
        this.#open(instruction, false);
        this.#begin(instruction.end, 0, false);
        break;
      case OP_LOOP:
        this.#open(instruction, true);
        this.#begin(instruction.end, LOOP_COST, true);
        break;
      case OP_ELSE:
        this.#closeTo(this.#frames.at(-1)?.scopes ?? 1);
        this.#begin(instruction.end, 0, false);
        break;
      case OP_END:
        this.#end(instruction);
        break;
      case OP_BR:
      case OP_BR_IF:
        this.#branch(instruction, instruction.index);
        if (instruction.opcode === OP_BR_IF) this.#begin(instruction.end, 0, false);
        break;
      case OP_BR_TABLE:
        this.#branch(instruction, Math.max(...instruction.labels));
        break;
      case OP_RETURN:
        this.#branch(instruction, this.#frames.length);
        break;
      case OP_CALL:
      case OP_CALL_INDIRECT:
      case OP_RETURN_CALL:
      case OP_RETURN_CALL_INDIRECT:
        this.#call(instruction);
        break;
      case OP_MEMORY_GROW:
        this.#calls();
        this.#insert(instruction.start, INSERT_STORE, 0);
        this.#insert(instruction.start, INSERT_GROW, instruction.end - instruction.start);
        this.#insert(instruction.end, INSERT_LOAD, 0);
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

  #charge(cost: number): void {
    const scope = this.#scopes.at(-1);
    if (scope !== undefined) scope.cost += cost;
  }

  #begin(at: number, cost: number, isOwn: boolean): void {
    this.#scopes.push({ at, cost, merged: 0, isOwn });
  }

  /** Ends scopes until so many are left. */
  #closeTo(count: number): void {
    while (this.#scopes.length > count) {
      const scope = this.#scopes.pop() as Scope;
      const around = this.#scopes.at(-1);
      if (around === undefined) {
        this.costs[0] = scope.cost;
        this.#insert(scope.at, INSERT_CHARGE, 0);
      } else if (scope.isOwn || around.merged + scope.cost > MERGED_MAX) {
        this.#insert(scope.at, INSERT_CHARGE, this.costs.push(scope.cost) - 1);
      } else {
        around.cost += scope.cost;
        around.merged += scope.cost;
      }
    }
  }

  #open(instruction: Instructions, isLoop: boolean): void {
    const depth = this.#frames.length + 1;
    if (depth > this.#limits.nestingMax) {
      throw exceeded(instruction.start, "nested blocks", depth, this.#limits.nestingMax);
    }
    this.#frames.push({ scopes: this.#scopes.length, isLoop, calls: false, branchesTo: depth });
  }

  #end(instruction: Instructions): void {
    const frame = this.#frames.pop();
    if (frame === undefined) {
      this.#insert(instruction.start, INSERT_STORE, 0); // the end of the function
      this.#closeTo(0);
      return;
    }
    this.#closeTo(frame.scopes);
    if (frame.isLoop && !frame.calls) this.hasQuietLoop = true;
    if (frame.calls) this.#calls();
    const depth = this.#frames.length;
    const around = this.#frames[depth - 1];
    if (around !== undefined) around.branchesTo = Math.min(around.branchesTo, frame.branchesTo);
    // Out of it, and past what follows.
    if (frame.branchesTo < depth) this.#begin(instruction.end, 0, false);
  }

  /** `label`: the largest of those that it may lead to. */
  #branch(instruction: Instructions, label: number): void {
    const depth = this.#frames.length;
    if (label === depth) this.#insert(instruction.start, INSERT_STORE, 0);
    const frame = this.#frames[depth - 1];
    if (frame !== undefined) frame.branchesTo = Math.min(frame.branchesTo, depth - 1 - label);
  }

  /** Told to whatever is open when it ends. */
  #calls(): void {
    const frame = this.#frames.at(-1);
    if (frame !== undefined) frame.calls = true;
  }

  #call(instruction: Instructions): void {
    const { opcode } = instruction;
    const direct = opcode === OP_CALL || opcode === OP_RETURN_CALL;
    if (direct && instruction.index < this.#importCount) this.#charge(HOST_CALL_COST);
    this.#calls();
    if (opcode === OP_RETURN_CALL || opcode === OP_RETURN_CALL_INDIRECT) {
      this.#branch(instruction, this.#frames.length);
      return;
    }
    this.#insert(instruction.start, INSERT_STORE, 0);
    this.#insert(instruction.end, INSERT_LOAD, 0);
  }

  #bulk(instruction: Instructions): void {
    switch (instruction.sub) {
      case BULK_MEMORY_INIT:
      case BULK_MEMORY_COPY:
      case BULK_MEMORY_FILL:
        this.bulk = true;
        this.#insert(instruction.start, INSERT_BULK_MEMORY, 0);
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
    this.#charge(cost);
    this.#insert(instruction.start, INSERT_BULK_TABLE, 0);
  }
}
