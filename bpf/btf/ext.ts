/**
 * `.BTF.ext`: per instruction, which function it begins, which source line it comes from, and which kernel field it
 * depends on (CO-RE). The kernel takes all three as arrays of records in the order of the instructions.
 *
 * Source: Documentation/bpf/btf.rst, section "BTF.ext"; struct bpf_func_info, bpf_line_info, bpf_core_relo in linux/bpf.h.
 */
import { Reader } from "#bpf/elf/reader.ts";
import type { Btf } from "./types.ts";

export interface ExtTable {
  /** 0 when the object has none. */
  readonly recordBytes: number;
  /** By section name, one behind the other; each begins with its offset in that section, in bytes. */
  readonly records: ReadonlyMap<string, Buffer>;
}

export interface BtfExt {
  readonly functions: ExtTable;
  readonly lines: ExtTable;
  readonly relocations: ExtTable;
}

const NONE: ExtTable = { recordBytes: 0, records: new Map() };
export const NO_EXT: BtfExt = { functions: NONE, lines: NONE, relocations: NONE };

/** Records as this kernel interface knows them begin with the same fields; a longer one is passed on whole. */
const RECORD_BYTES_MAX = 256;

export function parseBtfExt(section: Reader, btf: Btf): BtfExt {
  if (section.u16(0) !== 0xeb9f) throw section.error(0, "no BTF extension");
  const header = section.u32(4);
  const strings = new Reader(btf.strings, ".BTF strings");
  const table = (at: number): ExtTable => parseTable(section, header + section.u32(at), section.u32(at + 4), strings);
  return {
    functions: table(8),
    lines: table(16),
    relocations: header >= 32 ? table(24) : NONE,
  };
}

function parseTable(section: Reader, start: number, length: number, strings: Reader): ExtTable {
  if (length === 0) return NONE;
  const end = start + length;
  const recordBytes = section.u32(start);
  if (recordBytes < 8 || recordBytes > RECORD_BYTES_MAX || recordBytes % 4 !== 0) {
    throw section.error(start, `records of ${recordBytes} bytes`);
  }
  const records = new Map<string, Buffer>();
  for (let at = start + 4; at < end;) {
    const name = strings.string(section.u32(at));
    const count = section.u32(at + 4);
    at += 8;
    const all = section.slice(at, count * recordBytes, `${count} records`);
    const earlier = records.get(name);
    records.set(name, earlier === undefined ? all : Buffer.concat([earlier, all]));
    at += count * recordBytes;
  }
  return { recordBytes, records };
}
