/**
 * Steps through the instructions of one function body (specification 5.4), knowing of each what follows its opcode.
 * An allow-list: what is not in it is refused with its name, so that a proposal that the engine learns tomorrow does
 * not pass unmetered.
 *
 * One cursor serves all bodies of a module in turn; its fields describe the instruction last read.
 */
import type { ModuleLimits } from "./limits.ts";
import { ByteReader, exceeded, refused } from "./reader.ts";
import { readReferenceType, readValueType, skipBlockType } from "./types.ts";

export const OP_BLOCK = 0x02;
export const OP_LOOP = 0x03;
export const OP_IF = 0x04;
export const OP_ELSE = 0x05;
export const OP_END = 0x0b;
export const OP_BR = 0x0c;
export const OP_BR_IF = 0x0d;
export const OP_BR_TABLE = 0x0e;
export const OP_RETURN = 0x0f;
export const OP_CALL = 0x10;
export const OP_CALL_INDIRECT = 0x11;
export const OP_RETURN_CALL = 0x12;
export const OP_RETURN_CALL_INDIRECT = 0x13;
export const OP_TABLE_SET = 0x26;
export const OP_MEMORY_GROW = 0x40;
export const OP_BULK = 0xfc;

export const BULK_MEMORY_INIT = 8;
export const BULK_DATA_DROP = 9;
export const BULK_MEMORY_COPY = 10;
export const BULK_MEMORY_FILL = 11;
export const BULK_TABLE_INIT = 12;
export const BULK_ELEM_DROP = 13;
export const BULK_TABLE_COPY = 14;
export const BULK_TABLE_GROW = 15;
export const BULK_TABLE_FILL = 17;

/** What follows an opcode. */
const IMMEDIATES = {
  refused: 0,
  none: 1,
  block: 2,
  index: 3,
  twoIndices: 4,
  memory: 5,
  memoryIndex: 6,
  integer: 7,
  float32: 8,
  float64: 9,
  branchTable: 10,
  selectTypes: 11,
  referenceType: 12,
  bulk: 13,
  simd: 14,
} as const;

/** First opcode, last opcode, what follows. */
const PLAIN: readonly (readonly [number, number, keyof typeof IMMEDIATES])[] = [
  [0x00, 0x01, "none"], // unreachable, nop
  [0x02, 0x04, "block"],
  [0x05, 0x05, "none"], // else
  [0x0b, 0x0b, "none"], // end
  [0x0c, 0x0d, "index"], // br, br_if
  [0x0e, 0x0e, "branchTable"],
  [0x0f, 0x0f, "none"], // return
  [0x10, 0x10, "index"], // call
  [0x11, 0x11, "twoIndices"], // call_indirect: type, table
  [0x12, 0x12, "index"], // return_call
  [0x13, 0x13, "twoIndices"],
  [0x1a, 0x1b, "none"], // drop, select
  [0x1c, 0x1c, "selectTypes"],
  [0x20, 0x26, "index"], // local.*, global.*, table.get, table.set
  [0x28, 0x3e, "memory"], // loads and stores
  [0x3f, 0x40, "memoryIndex"], // memory.size, memory.grow
  [0x41, 0x42, "integer"],
  [0x43, 0x43, "float32"],
  [0x44, 0x44, "float64"],
  [0x45, 0xc4, "none"], // comparison, arithmetic, conversion, sign extension
  [0xd0, 0xd0, "referenceType"], // ref.null
  [0xd1, 0xd1, "none"], // ref.is_null
  [0xd2, 0xd2, "index"], // ref.func
  [0xfc, 0xfc, "bulk"],
  [0xfd, 0xfd, "simd"],
];

const immediateOf = new Uint8Array(256);
for (const [first, last, kind] of PLAIN) immediateOf.fill(IMMEDIATES[kind], first, last + 1);

export class Instructions {
  readonly #reader: ByteReader;
  readonly #limits: ModuleLimits;
  /** Offset of the opcode. */
  start = 0;
  opcode = 0;
  /** The second opcode of 0xfc and 0xfd; else 0. */
  sub = 0;
  /** The (first) index: label, function, type, local, … */
  index = 0;
  /** The labels of a br_table, default last. Valid until the next one. */
  readonly labels: number[] = [];

  constructor(bytes: Uint8Array, start: number, end: number, limits: ModuleLimits) {
    this.#reader = new ByteReader(bytes, start, end);
    this.#limits = limits;
  }

  /** Offset just after the instruction last read. */
  get end(): number {
    return this.#reader.at;
  }

  get done(): boolean {
    return this.#reader.done;
  }

  next(): void {
    const reader = this.#reader;
    this.start = reader.at;
    this.opcode = reader.u8();
    this.sub = 0;
    switch (immediateOf[this.opcode]) {
      case IMMEDIATES.none:
        return;
      case IMMEDIATES.block:
        skipBlockType(reader);
        return;
      case IMMEDIATES.index:
        this.index = reader.u32();
        return;
      case IMMEDIATES.twoIndices:
        this.index = reader.u32();
        reader.u32();
        return;
      case IMMEDIATES.memory:
        this.#memoryArgument();
        return;
      case IMMEDIATES.memoryIndex:
        this.#firstMemory();
        return;
      case IMMEDIATES.integer:
        reader.skipInteger();
        return;
      case IMMEDIATES.float32:
        reader.skip(4);
        return;
      case IMMEDIATES.float64:
        reader.skip(8);
        return;
      case IMMEDIATES.branchTable:
        this.#branchTable();
        return;
      case IMMEDIATES.selectTypes:
        for (let count = reader.u32(); count > 0; count--) readValueType(reader);
        return;
      case IMMEDIATES.referenceType:
        readReferenceType(reader);
        return;
      case IMMEDIATES.bulk:
        this.#bulk();
        return;
      case IMMEDIATES.simd:
        this.#simd();
        return;
      default:
        throw refused(this.start, refusedOpcode(this.opcode));
    }
  }

  #memoryArgument(): void {
    // Bit 6 of the alignment says that a memory index follows.
    if ((this.#reader.u32() & 0x40) !== 0) throw refused(this.start, "multiple memories");
    this.#reader.skipInteger();
  }

  #firstMemory(): void {
    if (this.#reader.u32() !== 0) throw refused(this.start, "multiple memories");
  }

  #branchTable(): void {
    const reader = this.#reader;
    const count = reader.u32();
    if (count > this.#limits.branchTableMax) {
      throw exceeded(this.start, "targets of a br_table", count, this.#limits.branchTableMax);
    }
    this.labels.length = 0;
    for (let position = 0; position <= count; position++) this.labels.push(reader.u32());
  }

  /** 0xfc: saturating conversions, bulk memory and tables. */
  #bulk(): void {
    const reader = this.#reader;
    this.sub = reader.u32();
    switch (this.sub) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
      case 7:
        return; // iNN.trunc_sat_*
      case BULK_MEMORY_INIT:
        reader.u32();
        this.#firstMemory();
        return;
      case BULK_MEMORY_COPY:
        this.#firstMemory();
        this.#firstMemory();
        return;
      case BULK_MEMORY_FILL:
        this.#firstMemory();
        return;
      case BULK_TABLE_INIT:
      case BULK_TABLE_COPY:
        reader.u32();
        reader.u32();
        return;
      case 9: // data.drop
      case 13: // elem.drop
      case BULK_TABLE_GROW:
      case 16: // table.size
      case BULK_TABLE_FILL:
        reader.u32();
        return;
      default:
        throw refused(this.start, `opcode 0xfc 0x${this.sub.toString(16)}`);
    }
  }

  /** 0xfd: SIMD without the relaxed instructions, whose results differ between machines. */
  #simd(): void {
    const reader = this.#reader;
    this.sub = reader.u32();
    const sub = this.sub;
    if (sub <= 11 || sub === 92 || sub === 93) this.#memoryArgument();
    else if (sub === 12 || sub === 13) reader.skip(16);
    else if (sub >= 21 && sub <= 34) reader.skip(1);
    else if (sub >= 84 && sub <= 91) {
      this.#memoryArgument();
      reader.skip(1);
    } else if (sub > 255) throw refused(this.start, "relaxed SIMD");
  }
}

function refusedOpcode(opcode: number): string {
  if ((opcode >= 0x06 && opcode <= 0x0a) || opcode === 0x18 || opcode === 0x19 || opcode === 0x1f) {
    return "exception handling";
  }
  if (opcode === 0x14 || opcode === 0x15 || (opcode >= 0xd3 && opcode <= 0xd6)) return "typed references";
  if (opcode === 0xfb) return "GC instructions";
  if (opcode === 0xfe) return "atomic instructions";
  return `opcode 0x${opcode.toString(16)}`;
}
