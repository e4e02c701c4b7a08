/** Copies code of a module into another with all its indices put right: what stands between them is not touched. */
import {
  BULK_DATA_DROP,
  BULK_ELEM_DROP,
  BULK_MEMORY_INIT,
  BULK_TABLE_COPY,
  BULK_TABLE_FILL,
  BULK_TABLE_INIT,
  Instructions,
  OP_BLOCK,
  OP_BULK,
  OP_CALL,
  OP_CALL_INDIRECT,
  OP_END,
  OP_IF,
  OP_LOOP,
  OP_RETURN_CALL,
  OP_RETURN_CALL_INDIRECT,
} from "#wasm/validate/instructions.ts";
import type { ModuleLimits } from "#wasm/validate/limits.ts";
import type { BodyShape } from "#wasm/validate/module.ts";
import type { Stretch } from "#wasm/meter/emit.ts";
import { addStretch } from "#wasm/meter/offsets.ts";
import type { ByteWriter } from "#wasm/meter/writer.ts";
import { ByteReader } from "#wasm/validate/reader.ts";
import { readValueType } from "#wasm/validate/types.ts";

/** From a module's own indices to those of the whole. */
export interface IndexMap {
  readonly types: readonly number[];
  readonly functions: readonly number[];
  readonly tables: readonly number[];
  readonly globals: readonly number[];
  /** Its segments follow each other: the index of the first. */
  readonly firstElement: number;
  readonly firstData: number;
}

const OP_GLOBAL_GET = 0x23;
const OP_GLOBAL_SET = 0x24;
const OP_TABLE_GET = 0x25;
const OP_TABLE_SET = 0x26;
const OP_REF_FUNC = 0xd2;

/** An index as the whole module has it. The engine has seen that there is one. */
function moved(map: readonly number[], index: number): number {
  return map[index] ?? 0;
}

/** Locals and code, without their size. Answers where the code stood: sources in `bytes`, targets in `out`. */
export function relocateBody(
  out: ByteWriter,
  bytes: Uint8Array,
  body: BodyShape,
  map: IndexMap,
  limits: ModuleLimits,
): Stretch[] {
  const locals = new ByteReader(bytes, body.start, body.end);
  for (let groups = locals.u32(); groups > 0; groups--) {
    locals.u32();
    readValueType(locals);
  }
  out.raw(bytes.subarray(body.start, locals.at));
  const stretches: Stretch[] = [];
  relocate(out, bytes, new Instructions(bytes, locals.at, body.end, limits), locals.at, map, stretches);
  return stretches;
}

/** A constant expression with its `end`. `reader` goes behind it. */
export function relocateExpression(out: ByteWriter, reader: ByteReader, map: IndexMap, limits: ModuleLimits): void {
  const cursor = new Instructions(reader.bytes, reader.at, reader.end, limits);
  relocate(out, reader.bytes, cursor, reader.at, map, null);
  reader.at = cursor.end;
}

/** `stretches`: null for an expression, which ends with its first `end`. */
function relocate(
  out: ByteWriter,
  bytes: Uint8Array,
  cursor: Instructions,
  start: number,
  map: IndexMap,
  stretches: Stretch[] | null,
): void {
  let copied = start;
  const copy = (end: number): void => {
    if (stretches !== null) addStretch(stretches, copied, out.length);
    out.raw(bytes.subarray(copied, end));
  };
  const replace = (write: () => void): void => {
    copy(cursor.start);
    out.u8(cursor.opcode);
    write();
    copied = cursor.end;
  };
  while (!cursor.done) {
    cursor.next();
    const { opcode, index } = cursor;
    switch (opcode) {
      case OP_BLOCK:
      case OP_LOOP:
      case OP_IF: {
        const type = new ByteReader(bytes, cursor.start + 1, cursor.end).s33();
        if (type >= 0) replace(() => out.s32(moved(map.types, type)));
        break;
      }
      case OP_CALL:
      case OP_RETURN_CALL:
      case OP_REF_FUNC:
        replace(() => out.u32(moved(map.functions, index)));
        break;
      case OP_CALL_INDIRECT:
      case OP_RETURN_CALL_INDIRECT: {
        const [, table] = twoIndices(bytes, cursor.start + 1, cursor.end);
        replace(() => {
          out.u32(moved(map.types, index));
          out.u32(moved(map.tables, table));
        });
        break;
      }
      case OP_GLOBAL_GET:
      case OP_GLOBAL_SET:
        replace(() => out.u32(moved(map.globals, index)));
        break;
      case OP_TABLE_GET:
      case OP_TABLE_SET:
        replace(() => out.u32(moved(map.tables, index)));
        break;
      case OP_BULK:
        if (cursor.sub >= BULK_MEMORY_INIT) replace(() => bulk(out, bytes, cursor, map));
        break;
      default:
        break;
    }
    if (stretches === null && opcode === OP_END) break;
  }
  copy(cursor.end);
}

/** What follows 0xfc. */
function bulk(out: ByteWriter, bytes: Uint8Array, cursor: Instructions, map: IndexMap): void {
  const reader = new ByteReader(bytes, cursor.start + 1, cursor.end);
  out.u32(reader.u32());
  const { sub } = cursor;
  if (sub === BULK_MEMORY_INIT || sub === BULK_DATA_DROP) out.u32(map.firstData + reader.u32());
  else if (sub === BULK_TABLE_INIT || sub === BULK_ELEM_DROP) out.u32(map.firstElement + reader.u32());
  else if (sub >= BULK_TABLE_COPY && sub <= BULK_TABLE_FILL) out.u32(moved(map.tables, reader.u32()));
  if (sub === BULK_TABLE_INIT || sub === BULK_TABLE_COPY) out.u32(moved(map.tables, reader.u32()));
  out.raw(bytes.subarray(reader.at, cursor.end));
}

function twoIndices(bytes: Uint8Array, start: number, end: number): [number, number] {
  const reader = new ByteReader(bytes, start, end);
  return [reader.u32(), reader.u32()];
}
