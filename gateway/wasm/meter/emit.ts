/** Writes a planned body: the source's bytes with the insertions between them. */
import type { BodyShape } from "#wasm/validate/module.ts";
import { I32 } from "#wasm/validate/types.ts";
import { BULK_MEMORY_SHIFT, TABLE_ELEMENT_SHIFT } from "./costs.ts";
import {
  type BodyPlan,
  INSERT_BULK_MEMORY,
  INSERT_BULK_TABLE,
  INSERT_CHARGE,
  INSERT_GROW,
  INSERT_LOAD,
  INSERT_STORE,
} from "./plan.ts";
import type { ByteWriter } from "./writer.ts";

const UNREACHABLE = 0x00;
const IF = 0x04;
const END = 0x0b;
const CALL = 0x10;
const SELECT = 0x1b;
const LOCAL_GET = 0x20;
const LOCAL_SET = 0x21;
const LOCAL_TEE = 0x22;
const GLOBAL_GET = 0x23;
const GLOBAL_SET = 0x24;
const I32_CONST = 0x41;
const I32_LT_S = 0x48;
const I32_LT_U = 0x49;
const I32_SUB = 0x6b;
const I32_SHL = 0x74;
const I32_SHR_U = 0x76;
const EMPTY = 0x40;

/** Indices of what the metered module has beyond its source. */
export interface MeterIndices {
  readonly fuelGlobal: number;
  readonly growFunction: number;
  readonly tableElementsMax: number;
}

/** A stretch of the source that stands unchanged in the output. */
export interface Stretch {
  readonly source: number;
  /** Offset in the writer. */
  readonly target: number;
}

export class BodyEmitter {
  readonly #out: ByteWriter;
  readonly #plan: BodyPlan;
  readonly #indices: MeterIndices;
  /** Local that holds the fuel while it is charged, or all the time when the plan says so. */
  readonly #fuelLocal: number;
  readonly #lengthLocal: number;

  constructor(out: ByteWriter, plan: BodyPlan, paramCount: number, indices: MeterIndices) {
    this.#out = out;
    this.#plan = plan;
    this.#indices = indices;
    this.#fuelLocal = paramCount + plan.localCount;
    this.#lengthLocal = this.#fuelLocal + 1;
  }

  /** Writes locals and code, without the size. */
  write(bytes: Uint8Array, body: BodyShape): Stretch[] {
    const out = this.#out;
    const plan = this.#plan;
    out.u32(plan.localGroups + 1);
    out.raw(bytes.subarray(plan.localsStart, plan.codeStart));
    out.u32(plan.bulk ? 2 : 1);
    out.u8(I32);
    const stretches: Stretch[] = [];
    let from = plan.codeStart;
    for (const insertion of plan.insertions) {
      if (insertion.at > from) {
        stretches.push({ source: from, target: out.length });
        out.raw(bytes.subarray(from, insertion.at));
        from = insertion.at;
      }
      this.#insert(insertion.kind, insertion.argument);
      if (insertion.kind === INSERT_GROW) from += insertion.argument;
    }
    stretches.push({ source: from, target: out.length });
    out.raw(bytes.subarray(from, body.end));
    return stretches;
  }

  #insert(kind: number, argument: number): void {
    switch (kind) {
      case INSERT_CHARGE:
        this.#charge(argument);
        break;
      case INSERT_BULK_MEMORY:
        this.#chargeLength(false);
        break;
      case INSERT_BULK_TABLE:
        this.#chargeLength(true);
        break;
      case INSERT_STORE:
        if (this.#plan.cached) this.#store();
        break;
      case INSERT_LOAD:
        if (this.#plan.cached) this.#load();
        break;
      case INSERT_GROW:
        this.#out.u8(CALL);
        this.#out.u32(this.#indices.growFunction);
        break;
      default:
        break;
    }
  }

  /** fuel −= cost; trap when below zero. */
  #charge(region: number): void {
    const out = this.#out;
    const fromLocal = this.#plan.cached && region > 0;
    this.#fuel(fromLocal);
    out.u8(I32_CONST);
    out.s32(this.#plan.costs[region] ?? 0);
    out.u8(I32_SUB);
    this.#keepAndTest(fromLocal);
  }

  /** The length on top of the stack stays there. Tables are short, so their length is capped to keep the sum small. */
  #chargeLength(table: boolean): void {
    const out = this.#out;
    out.u8(LOCAL_TEE);
    out.u32(this.#lengthLocal);
    this.#fuel(this.#plan.cached);
    out.u8(LOCAL_GET);
    out.u32(this.#lengthLocal);
    if (table) {
      out.u8(I32_CONST);
      out.s32(this.#indices.tableElementsMax);
      out.u8(LOCAL_GET);
      out.u32(this.#lengthLocal);
      out.u8(I32_CONST);
      out.s32(this.#indices.tableElementsMax);
      out.code(I32_LT_U, SELECT, I32_CONST, TABLE_ELEMENT_SHIFT, I32_SHL, I32_SUB);
    } else {
      out.code(I32_CONST, BULK_MEMORY_SHIFT, I32_SHR_U, I32_SUB);
    }
    this.#keepAndTest(this.#plan.cached);
  }

  #fuel(fromLocal: boolean): void {
    this.#out.u8(fromLocal ? LOCAL_GET : GLOBAL_GET);
    this.#out.u32(fromLocal ? this.#fuelLocal : this.#indices.fuelGlobal);
  }

  /**
   * Takes the new fuel from the stack. The global holds it when the trap is taken, so that the host can tell why; and
   * after the charge at entry, so that a trap of the guest's own is not free.
   */
  #keepAndTest(localOnly: boolean): void {
    const out = this.#out;
    out.u8(LOCAL_TEE);
    out.u32(this.#fuelLocal);
    if (!localOnly) {
      out.u8(GLOBAL_SET);
      out.u32(this.#indices.fuelGlobal);
      out.u8(LOCAL_GET);
      out.u32(this.#fuelLocal);
    }
    out.code(I32_CONST, 0, I32_LT_S, IF, EMPTY);
    if (localOnly) this.#store();
    out.code(UNREACHABLE, END);
  }

  #store(): void {
    this.#out.u8(LOCAL_GET);
    this.#out.u32(this.#fuelLocal);
    this.#out.u8(GLOBAL_SET);
    this.#out.u32(this.#indices.fuelGlobal);
  }

  #load(): void {
    this.#out.u8(GLOBAL_GET);
    this.#out.u32(this.#indices.fuelGlobal);
    this.#out.u8(LOCAL_SET);
    this.#out.u32(this.#fuelLocal);
  }
}
