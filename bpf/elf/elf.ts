/**
 * ELF64 relocatable objects for the BPF machine, read whole: sections, symbols, relocations. Pure and total: any bytes
 * give either a complete file or a PENSTOCK_BPF_OBJECT error. Section contents are views of the caller's bytes.
 *
 * Source: System V ABI, chapters 4 and 5; elf.h; Documentation/bpf/llvm_reloc.rst for the relocation types.
 */
import { Reader } from "./reader.ts";

export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
}

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  /** Bytes in memory; those of `.bss` are not in the file. */
  readonly size: number;
  /** Empty for SHT_NOBITS. */
  readonly contents: Reader;
  readonly link: number;
  readonly info: number;
  /** In order of their offsets. */
  readonly relocations: ElfRelocation[];
}

export interface ElfSymbol {
  readonly name: string;
  readonly type: number;
  readonly binding: number;
  /** Index of its section; 0 when undefined here. */
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

export interface ElfRelocation {
  /** Where, in the section that it patches. */
  readonly offset: number;
  readonly type: number;
  readonly symbol: ElfSymbol;
}

const SHT_SYMTAB = 2;
export const SHT_NOBITS = 8;
const SHT_REL = 9;
export const SHF_ALLOC = 2;
export const SHF_EXECINSTR = 4;
export const STT_OBJECT = 1;
export const STT_FUNC = 2;
export const STB_WEAK = 2;
export const SHN_UNDEF = 0;

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const EM_BPF = 247;
/** Greater than any `.bss` a program may have (the kernel's bound on an array's value is 4 GiB, ours is sense). */
const NOBITS_BYTES_MAX = 64 << 20;

export function readElf(bytes: Uint8Array): ElfFile {
  const file = new Reader(bytes, "ELF header");
  if (file.length < HEADER_BYTES) throw file.error(0, `${file.length} bytes are too few for a header`);
  if (file.bytes.readUInt32BE(0) !== 0x7f45_4c46) throw file.error(0, "no ELF file");
  if (file.u8(4) !== 2 || file.u8(5) !== 1) throw file.error(4, "not 64-bit little-endian");
  if (file.u16(18) !== EM_BPF) throw file.error(18, `machine ${file.u16(18)} is not BPF (${EM_BPF})`);
  const sections = readSections(file);
  const symbols = readSymbols(sections);
  attachRelocations(sections, symbols);
  return { sections, symbols };
}

function readSections(file: Reader): ElfSection[] {
  const table = file.u64(40);
  const count = file.u16(60);
  if (file.u16(58) !== SECTION_BYTES) throw file.error(58, `section headers of ${file.u16(58)} bytes`);
  const headers = new Reader(file.slice(table, count * SECTION_BYTES, "section table"), "section table");
  const named = file.u16(62);
  if (named >= count) throw file.error(62, `section ${named} of ${count} should hold the names`);
  const names = contents(file, headers, named, "section names");
  return Array.from({ length: count }, (_, index) => {
    const at = index * SECTION_BYTES;
    const name = index === 0 ? "" : names.string(headers.u32(at));
    const size = headers.u64(at + 32);
    const nobits = headers.u32(at + 4) === SHT_NOBITS;
    if (nobits && size > NOBITS_BYTES_MAX) throw headers.error(at + 32, `${name} of ${size} bytes is too large`);
    return {
      index,
      name,
      type: headers.u32(at + 4),
      // Flags above 32 bits are the operating system's own; none is used for BPF.
      flags: headers.u32(at + 8),
      size,
      contents: nobits || index === 0 ? new Reader(new Uint8Array(0), name) : contents(file, headers, index, name),
      link: headers.u32(at + 40),
      info: headers.u32(at + 44),
      relocations: [],
    };
  });
}

function contents(file: Reader, headers: Reader, index: number, name: string): Reader {
  const at = index * SECTION_BYTES;
  return new Reader(file.slice(headers.u64(at + 24), headers.u64(at + 32), `section ${name}`), name);
}

function readSymbols(sections: readonly ElfSection[]): ElfSymbol[] {
  const table = sections.find((section) => section.type === SHT_SYMTAB);
  if (table === undefined) return [];
  const names = sections[table.link]?.contents;
  if (names === undefined) throw table.contents.error(0, `its names are in section ${table.link}, which is not there`);
  const { contents: data } = table;
  const symbols: ElfSymbol[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= data.length; at += SYMBOL_BYTES) {
    const info = data.u8(at + 4);
    const section = data.u16(at + 6);
    // Above SHN_LORESERVE stand absolute and common symbols, which name no section.
    if (section < 0xff00 && section >= sections.length) throw data.error(at + 6, `section ${section} is not there`);
    symbols.push({
      name: names.string(data.u32(at)),
      type: info & 15,
      binding: info >> 4,
      section: section < 0xff00 ? section : SHN_UNDEF,
      value: data.u64(at + 8),
      size: data.u64(at + 16),
    });
  }
  return symbols;
}

function attachRelocations(sections: readonly ElfSection[], symbols: readonly ElfSymbol[]): void {
  for (const section of sections) {
    if (section.type !== SHT_REL) continue;
    const target = sections[section.info];
    if (target === undefined) throw section.contents.error(0, `it patches section ${section.info}, which is not there`);
    // What is not loaded needs no patching: types and line records, whose relocations are most of a file's.
    if ((target.flags & SHF_ALLOC) === 0) continue;
    for (let at = 0; at + RELOCATION_BYTES <= section.contents.length; at += RELOCATION_BYTES) {
      const symbol = symbols[section.contents.u32(at + 12)];
      if (symbol === undefined)
        throw section.contents.error(at + 12, `symbol ${section.contents.u32(at + 12)} is not there`);
      target.relocations.push({ offset: section.contents.u64(at), type: section.contents.u32(at + 8), symbol });
    }
    target.relocations.sort((a, b) => a.offset - b.offset);
  }
}
