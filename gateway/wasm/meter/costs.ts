/**
 * The price list. One unit of fuel is about one simple instruction: 0.3 to 1 ns once the engine has optimised the code,
 * up to 3 ns before. Prices are part of what a plugin's author sees (the same input costs the same fuel), so changing one
 * is a change to the contract.
 */
import {
  OP_BLOCK,
  OP_BR_TABLE,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
} from "#wasm/validate/instructions.ts";

/** Being entered: the frame and the stack check. */
export const FUNCTION_COST = 2;
/** A frame clears its locals: 16 bytes of them a unit, at 8 bytes each. */
export const LOCALS_PER_UNIT = 2;
export const LOOP_COST = 1;
/** How much of what may not run is charged at one place, rather than where it runs. */
export const MERGED_MAX = 64;
/** memory.grow: the call itself, and clearing each page at 16 bytes a unit. */
export const GROW_COST = 1_000;
export const GROW_PAGE_SHIFT = 12;
/** Bulk memory: 16 bytes a unit. */
export const BULK_MEMORY_SHIFT = 4;
/** Bulk operations over tables: the engine is called, and each element passes its write barrier: 8 units. */
export const TABLE_COST = 20;
export const TABLE_GROW_COST = 500;
export const TABLE_ELEMENT_SHIFT = 3;

const costOf = new Uint8Array(256).fill(1);
// Marks for branches: no code comes of them. The dispatch of an interpreter opens a block for each of its targets.
costOf[OP_BLOCK] = 0;
costOf[OP_END] = 0;
costOf[OP_BR_TABLE] = 3;
costOf[OP_CALL] = 3;
costOf[OP_CALL_INDIRECT] = 10;
costOf[OP_RETURN_CALL] = 3;
costOf[OP_RETURN_CALL_INDIRECT] = 10;
// Integer and floating division, remainder, square root.
for (const opcode of [0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x95, 0x9f, 0xa3]) costOf[opcode] = 8;

export function instructionCost(opcode: number): number {
  return costOf[opcode] ?? 1;
}

/**
 * Calling the host: passing the boundary twice, and up to 1.3 µs of looking through the fields of a large head. What a
 * host call does beyond is charged by its handler.
 */
export const HOST_CALL_COST = 100;
