/**
 * Maps as C declares them: a struct in `.maps` whose members encode numbers and types (libbpf's `__uint`, `__type`,
 * `__array`):
 *
 *     int (*max_entries)[1024];      a number is the length of an array behind a pointer
 *     struct endpoint *key;          a type is what a pointer points to
 *     struct inner *values[];        what the slots of a map of maps, or of a program array, hold
 *
 * Data sections (.rodata, .data, .bss) are maps too: one array entry holding the section's bytes.
 */
import { bpfError } from "#core/errors/bpf.ts";
import type { Btf, BtfType } from "#bpf/btf/types.ts";
import {
  SHF_ALLOC,
  SHF_EXECINSTR,
  SHT_NOBITS,
  STT_OBJECT,
  type ElfFile,
  type ElfSection,
  type ElfSymbol,
} from "#bpf/elf/elf.ts";
import { plainMap } from "./plain-map.ts";
import type { GlobalSpec, MapDefinition } from "./spec.ts";

const BPF_MAP_TYPE_ARRAY = 2;
const BPF_F_MMAPABLE = 1 << 10;
const BPF_F_RDONLY_PROG = 1 << 7;

type Draft = { -readonly [Key in keyof MapDefinition]: MapDefinition[Key] };

function draft(name: string): Draft {
  return plainMap({ name, type: 0, keyBytes: 0, valueBytes: 0, maxEntries: 0 });
}

export function readMaps(elf: ElfFile, btf: Btf | null): Map<string, MapDefinition> {
  const maps = new Map<string, MapDefinition>();
  const section = elf.sections.find((each) => each.name === ".maps");
  if (section !== undefined) {
    for (const symbol of elf.symbols) {
      if (symbol.section !== section.index || symbol.type !== STT_OBJECT) continue;
      if (btf === null)
        throw bad(symbol.name, "maps are declared by type information, and this object has none (build with -g)");
      maps.set(symbol.name, declared(symbol, section, btf));
    }
  }
  for (const each of elf.sections) if (isData(each)) maps.set(each.name, dataSection(each));
  return maps;
}

function bad(map: string, detail: string): Error {
  return bpfError("PENSTOCK_BPF_OBJECT", { detail: `.maps, ${map}: ${detail}` });
}

function isData(section: ElfSection): boolean {
  if (section.size === 0 || (section.flags & SHF_ALLOC) === 0 || (section.flags & SHF_EXECINSTR) !== 0) return false;
  return /^\.(rodata|data|bss)(\.|$)/.test(section.name);
}

function dataSection(section: ElfSection): MapDefinition {
  const frozen = section.name.startsWith(".rodata");
  return {
    ...draft(section.name),
    type: BPF_MAP_TYPE_ARRAY,
    keyBytes: 4,
    valueBytes: section.size,
    maxEntries: 1,
    flags: BPF_F_MMAPABLE | (frozen ? BPF_F_RDONLY_PROG : 0),
    contents: section.type === SHT_NOBITS ? Buffer.alloc(section.size) : Buffer.from(section.contents.bytes),
    frozen,
  };
}

function declared(symbol: ElfSymbol, section: ElfSection, btf: Btf): MapDefinition {
  const variable = btf.type(btf.find("variable", symbol.name));
  if (variable.kind !== "variable") throw bad(symbol.name, "no type information for it");
  const { definition, slotsAt } = readDefinition(btf, variable.type, symbol.name, 0);
  const slots = section.relocations
    .filter((each) => slotsAt > 0 && each.offset >= symbol.value + slotsAt && each.offset < symbol.value + symbol.size)
    .map((each) => ({ index: (each.offset - symbol.value - slotsAt) / 8, name: each.symbol.name }));
  return { ...definition, slots };
}

function readDefinition(btf: Btf, id: number, name: string, depth: number): { definition: Draft; slotsAt: number } {
  const type = btf.resolved(id);
  if (type.kind !== "struct") throw bad(name, "not declared as a struct");
  if (depth > 1) throw bad(name, "maps nest only once");
  const definition = draft(name);
  let slotsAt = 0;
  for (const member of type.members) {
    if (member.name === "values") {
      slotsAt = member.bitOffset / 8;
      definition.inner = readInner(btf, member.type, name, depth);
      // Descriptors of maps and programs are four bytes.
      definition.keyBytes ||= 4;
      definition.valueBytes ||= 4;
    } else {
      readMember(btf, member.name, btf.resolved(member.type), definition);
    }
  }
  if (definition.type === 0) throw bad(name, "no `type`");
  return { definition, slotsAt };
}

function readMember(btf: Btf, member: string, type: BtfType, into: Draft): void {
  if (type.kind !== "pointer") throw bad(into.name, `\`${member}\` is no number and no type`);
  const number = (): number => {
    const array = btf.resolved(type.type);
    if (array.kind !== "array") throw bad(into.name, `\`${member}\` is not a number`);
    return array.count;
  };
  const sized = (): number => {
    const size = btf.sizeOf(type.type);
    if (size === 0) throw bad(into.name, `\`${member}\` has no size`);
    return size;
  };
  switch (member) {
    case "type":
      into.type = number();
      break;
    case "max_entries":
      into.maxEntries = number();
      break;
    case "map_flags":
      into.flags = number();
      break;
    case "key_size":
      into.keyBytes = number();
      break;
    case "value_size":
      into.valueBytes = number();
      break;
    case "map_extra":
      into.extra = BigInt(number());
      break;
    case "pinning":
      into.pinning = number();
      break;
    case "key":
      into.keyType = type.type;
      into.keyBytes = sized();
      break;
    case "value":
      into.valueType = type.type;
      into.valueBytes = sized();
      break;
    default:
      throw bad(into.name, `\`${member}\` is not known`);
  }
}

/** `values` is an array of pointers: to a map's struct, or to a program's prototype, which says nothing more. */
function readInner(btf: Btf, id: number, name: string, depth: number): MapDefinition | null {
  const array = btf.resolved(id);
  const pointer = array.kind === "array" ? btf.resolved(array.element) : null;
  if (pointer?.kind !== "pointer") throw bad(name, "`values` is no array of pointers");
  if (btf.resolved(pointer.type).kind !== "struct") return null;
  return readDefinition(btf, pointer.type, `${name}.inner`, depth + 1).definition;
}

/** Variables of the data sections, by name. */
export function readGlobals(btf: Btf | null, maps: ReadonlyMap<string, MapDefinition>): Map<string, GlobalSpec> {
  const globals = new Map<string, GlobalSpec>();
  for (const section of btf?.types ?? []) {
    if (section.kind !== "data-section") continue;
    const contents = maps.get(section.name)?.contents;
    if (contents === undefined || contents === null) continue;
    for (const entry of section.variables) {
      const variable = btf?.type(entry.type);
      if (variable?.kind !== "variable") continue;
      if (entry.offset + entry.size > contents.length) {
        const detail = `${section.name}, offset ${entry.offset}: ${variable.name} of ${entry.size} bytes ends outside`;
        throw bpfError("PENSTOCK_BPF_OBJECT", { detail });
      }
      globals.set(variable.name, {
        name: variable.name,
        map: section.name,
        offset: entry.offset,
        size: entry.size,
        type: variable.type,
      });
    }
  }
  return globals;
}
