/**
 * What clang leaves open in an object's types and the kernel insists on:
 *  - a data section's size and its variables' offsets, which only the symbol table knows;
 *  - functions declared `extern` must look static, and their parameters must have names;
 *  - `.ksyms` and `.kconfig` describe no data: their entries are laid out one after the other, with functions replaced
 *    by a variable.
 *
 * Answers a new Btf with the same ids and strings, so `.BTF.ext` still fits.
 */
import type { ElfFile } from "#bpf/elf/elf.ts";
import { Btf, LINKAGE_EXTERN, LINKAGE_GLOBAL, LINKAGE_STATIC, type BtfType } from "./types.ts";

type DataSection = Extract<BtfType, { kind: "data-section" }>;

export function fixBtf(btf: Btf, elf: ElfFile): Btf {
  const types = [...btf.types];
  btf.types.forEach((type, id) => {
    if (type.kind === "function" && type.linkage === LINKAGE_EXTERN) {
      types[id] = { ...type, linkage: LINKAGE_STATIC };
      nameParameters(types, type.type);
    } else if (type.kind === "data-section") {
      types[id] = isVirtual(type.name) ? layOutVirtual(type, btf, types) : layOut(type, btf, elf);
    }
  });
  return new Btf(types, btf.strings);
}

function isVirtual(section: string): boolean {
  return section === ".ksyms" || section === ".kconfig";
}

function nameParameters(types: BtfType[], prototype: number): void {
  const type = types[prototype];
  if (type?.kind !== "prototype") return;
  const parameters = type.parameters.map((each, i) =>
    each.name === "" && each.type !== 0 ? { ...each, name: `a${i}` } : each,
  );
  types[prototype] = { ...type, parameters };
}

function layOut(section: DataSection, btf: Btf, elf: ElfFile): DataSection {
  const place = elf.sections.find((each) => each.name === section.name);
  if (place === undefined) return section;
  const offsets = new Map(
    elf.symbols.filter((each) => each.section === place.index).map((each) => [each.name, each.value]),
  );
  const variables = section.variables.map((each) => {
    const variable = btf.type(each.type);
    const offset = variable.kind === "variable" ? offsets.get(variable.name) : undefined;
    return {
      type: each.type,
      offset: offset ?? each.offset,
      size: each.size === 0 ? btf.sizeOf(each.type) : each.size,
    };
  });
  return { ...section, size: place.size, variables: variables.toSorted((a, b) => a.offset - b.offset) };
}

function layOutVirtual(section: DataSection, btf: Btf, types: BtfType[]): DataSection {
  const stand = btf.types.findIndex((type) => type.kind === "variable" && btf.sizeOf(type.type) > 0);
  let offset = 0;
  const variables = section.variables.map((each) => {
    const id = btf.type(each.type).kind === "variable" ? each.type : stand;
    const variable = types[id];
    if (variable?.kind === "variable") types[id] = { ...variable, linkage: LINKAGE_GLOBAL };
    const size = Math.max(btf.sizeOf(id), 1);
    const entry = { type: id, offset, size };
    offset += size;
    return entry;
  });
  return { ...section, size: offset, variables };
}
