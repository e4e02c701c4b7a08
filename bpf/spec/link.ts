/**
 * One program out of an object's sections: the entry function and every function it can reach (bpf-to-bpf calls,
 * callbacks), laid end to end, with calls between them resolved and references to maps and kernel symbols listed for
 * whoever has the descriptors.
 *
 * Functions are linked one by one, not section by section: a `.text` full of helpers that a program never calls would
 * otherwise be verified, and refused, with it.
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { BtfExt, ExtTable } from "#bpf/btf/ext.ts";
import {
  SHF_EXECINSTR,
  SHN_UNDEF,
  STB_WEAK,
  STT_FUNC,
  type ElfFile,
  type ElfRelocation,
  type ElfSection,
} from "#bpf/elf/elf.ts";
import {
  immediate,
  INSTRUCTION_BYTES,
  OPCODE_CALL,
  OPCODE_LDDW,
  PSEUDO_CALL,
  PSEUDO_FUNC,
  setImmediate32,
  setSourceRegister,
  sourceRegister,
} from "./instructions.ts";
import type { InfoRecords, MapDefinition, Reference } from "./spec.ts";

export interface Function {
  readonly name: string;
  readonly section: ElfSection;
  readonly start: number;
  readonly end: number;
  readonly global: boolean;
}

export interface Linked {
  readonly instructions: Buffer;
  readonly references: readonly Reference[];
  readonly functions: InfoRecords;
  readonly lines: InfoRecords;
  readonly relocations: InfoRecords;
}

/** All functions of the object. */
export function readFunctions(elf: ElfFile): Function[] {
  const functions: Function[] = [];
  for (const symbol of elf.symbols) {
    const section = elf.sections[symbol.section];
    if (symbol.type !== STT_FUNC || section === undefined || symbol.section === SHN_UNDEF) continue;
    if ((section.flags & SHF_EXECINSTR) === 0) continue;
    const end = symbol.value + symbol.size;
    if (
      symbol.size === 0 ||
      symbol.value % INSTRUCTION_BYTES !== 0 ||
      symbol.size % INSTRUCTION_BYTES !== 0 ||
      end > section.contents.length
    ) {
      throw section.contents.error(symbol.value, `function ${symbol.name} of ${symbol.size} bytes does not fit`);
    }
    functions.push({ name: symbol.name, section, start: symbol.value, end, global: symbol.binding !== 0 });
  }
  return functions;
}

export class Linker {
  readonly #elf: ElfFile;
  readonly #functions: readonly Function[];
  readonly #maps: ReadonlyMap<string, MapDefinition>;
  readonly #ext: BtfExt;

  constructor(elf: ElfFile, functions: readonly Function[], maps: ReadonlyMap<string, MapDefinition>, ext: BtfExt) {
    this.#elf = elf;
    this.#functions = functions;
    this.#maps = maps;
    this.#ext = ext;
  }

  link(entry: Function): Linked {
    const layout = new Layout();
    layout.place(entry);
    // The list grows while it is walked: every call may bring a function that is not placed yet.
    for (let i = 0; i < layout.placed.length; i++) {
      const placed = layout.placed[i] as Placed;
      this.#relocate(placed, layout);
    }
    for (const { code, at, base, target } of layout.calls) {
      setImmediate32(code, at, (layout.baseOf(target) - base - at) / INSTRUCTION_BYTES - 1);
    }
    return {
      instructions: Buffer.concat(layout.placed.map((each) => each.code)),
      references: layout.references,
      functions: gather(this.#ext.functions, layout, INSTRUCTION_BYTES),
      lines: gather(this.#ext.lines, layout, INSTRUCTION_BYTES),
      // bpf_core_relo counts bytes, the other two count instructions.
      relocations: gather(this.#ext.relocations, layout, 1),
    };
  }

  #relocate({ function: from, code, base }: Placed, layout: Layout): void {
    const relocations = new Map<number, ElfRelocation>();
    for (const each of from.section.relocations) {
      if (each.offset >= from.start && each.offset < from.end) relocations.set(each.offset - from.start, each);
    }
    for (let at = 0; at < code.length; at += INSTRUCTION_BYTES) {
      const relocation = relocations.get(at);
      const opcode = code[at];
      if (opcode === OPCODE_LDDW) {
        if (at + 2 * INSTRUCTION_BYTES > code.length) throw this.#bad(from, at, "half of a 64-bit load");
        if (relocation !== undefined) this.#load(from, code, at, base, relocation, layout);
        at += INSTRUCTION_BYTES;
      } else if (opcode === OPCODE_CALL) {
        this.#call(from, code, at, base, relocation, layout);
      }
    }
  }

  #call(
    from: Function,
    code: Buffer,
    at: number,
    base: number,
    relocation: ElfRelocation | undefined,
    layout: Layout,
  ): void {
    const distance = (immediate(code, at) + 1) * INSTRUCTION_BYTES;
    if (relocation === undefined) {
      // Without a relocation, only a call within the section can be meant; any other is a helper's number.
      if (sourceRegister(code, at) !== PSEUDO_CALL) return;
      layout.call(code, at, base, this.#functionAt(from, at, from.section, from.start + at + distance), PSEUDO_CALL);
      return;
    }
    const { symbol } = relocation;
    if (symbol.section === SHN_UNDEF) {
      layout.references.push({
        kind: "kernel-function",
        at: base + at,
        name: symbol.name,
        weak: symbol.binding === STB_WEAK,
      });
      return;
    }
    const section = this.#elf.sections[symbol.section] as ElfSection;
    layout.call(code, at, base, this.#functionAt(from, at, section, symbol.value + distance), PSEUDO_CALL);
  }

  #load(from: Function, code: Buffer, at: number, base: number, { symbol }: ElfRelocation, layout: Layout): void {
    if (symbol.section === SHN_UNDEF) {
      layout.references.push({
        kind: "kernel-variable",
        at: base + at,
        name: symbol.name,
        weak: symbol.binding === STB_WEAK,
      });
      return;
    }
    const section = this.#elf.sections[symbol.section] as ElfSection;
    const offset = symbol.value + immediate(code, at);
    if (section.name === ".maps") {
      if (!this.#maps.has(symbol.name)) throw this.#bad(from, at, `no map ${JSON.stringify(symbol.name)}`);
      layout.references.push({ kind: "map", at: base + at, name: symbol.name });
    } else if (this.#maps.has(section.name)) {
      layout.references.push({ kind: "map-value", at: base + at, name: section.name, offset });
    } else if ((section.flags & SHF_EXECINSTR) !== 0) {
      layout.call(code, at, base, this.#functionAt(from, at, section, offset), PSEUDO_FUNC);
    } else {
      throw this.#bad(from, at, `refers to section ${section.name || symbol.section}`);
    }
  }

  #functionAt(from: Function, at: number, section: ElfSection, offset: number): Function {
    const found = this.#functions.find((each) => each.section === section && each.start === offset);
    if (found === undefined) throw this.#bad(from, at, `calls ${section.name}+${offset}, where no function begins`);
    return found;
  }

  #bad(from: Function, at: number, detail: string): Error {
    return bpfError("PENSTOCK_BPF_OBJECT", {
      detail: `${from.section.name}, offset ${from.start + at}, in ${from.name}: ${detail}`,
    });
  }
}

interface Placed {
  readonly function: Function;
  readonly code: Buffer;
  /** Offset of its first instruction in the linked program, in bytes. */
  readonly base: number;
}

/** The program while it grows. */
class Layout {
  readonly placed: Placed[] = [];
  readonly calls: { readonly code: Buffer; readonly at: number; readonly base: number; readonly target: Function }[] =
    [];
  readonly references: Reference[] = [];
  readonly #bases = new Map<Function, number>();
  #length = 0;

  place(each: Function): void {
    if (this.#bases.has(each)) return;
    const code = Buffer.from(each.section.contents.bytes.subarray(each.start, each.end));
    this.#bases.set(each, this.#length);
    this.placed.push({ function: each, code, base: this.#length });
    this.#length += code.length;
  }

  call(code: Buffer, at: number, base: number, target: Function, pseudo: number): void {
    setSourceRegister(code, at, pseudo);
    this.place(target);
    this.calls.push({ code, at, base, target });
  }

  baseOf(each: Function): number {
    return this.#bases.get(each) ?? 0;
  }
}

/** The records of all placed functions, rebased; `unit` is what the kernel counts their offset in, in bytes. */
function gather({ recordBytes, records }: ExtTable, layout: Layout, unit: number): InfoRecords {
  const gathered: Buffer[] = [];
  for (const { function: each, base } of layout.placed) {
    const all = records.get(each.section.name);
    if (all === undefined) continue;
    const own = Buffer.alloc(all.length);
    let length = 0;
    for (let at = 0; at < all.length; at += recordBytes) {
      const offset = all.readUInt32LE(at);
      if (offset < each.start || offset >= each.end) continue;
      all.copy(own, length, at, at + recordBytes);
      own.writeUInt32LE((offset - each.start + base) / unit, length);
      length += recordBytes;
    }
    gathered.push(own.subarray(0, length));
  }
  const bytes = Buffer.concat(gathered);
  return { recordBytes, count: recordBytes === 0 ? 0 : bytes.length / recordBytes, bytes };
}
